#[test] fn todo_page() {}
