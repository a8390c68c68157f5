console.log('before'); setTimeout(() => console.log('never')); function f() { throw new Error('top'); } f();
