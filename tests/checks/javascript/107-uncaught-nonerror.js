// Something that is not an Error can be thrown too.
console.log('before');
throw { code: 42 };
