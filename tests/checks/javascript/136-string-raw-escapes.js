// Escapes in source text and what they print as.
console.log('tab\there', 'nl\\n', '\x41', '\u00e9', '\u{1F680}', 'a\
b', '\0'.length, '\'', "\"", `\``, '\v'.charCodeAt(), '\b\f'.length);
console.log(JSON.stringify('\u2028\u2029\u0001\x7f'), escape('\u2028'), ['\u2028', '\x7f', '\x80', '\ufeff', '\u200b'].length);
console.log('a\r\nb'.split(/\r?\n/), 'x\ty'.split('\t'), '  lead'.search(/\S/), 'trail  '.trimEnd().length, '\ufefftext\u00a0'.trim().length);
console.log('%', '%d', '%%', 'a%sb');
console.log('end');
