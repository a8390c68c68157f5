console.group('G'); console.log('in'); console.group(); console.log({ a: 1, b: [1, 2] }); console.log('x\ny'); console.groupEnd(); console.groupEnd(); console.log('out');
console.count(); console.count('a'); console.count(); console.countReset(); console.count();
console.info('i'); console.debug('d'); console.log(); console.log('%c styled', 'color: red');
