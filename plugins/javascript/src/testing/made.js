/// How many assertions were made so far, whoever made them and whether they held or not.
export const made = { count: 0 };
