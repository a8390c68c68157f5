// A handler for uncaught exceptions keeps the program going.
process.on('uncaughtException', (error, origin) => console.log('handled', error.message, origin));
process.on('unhandledRejection', (reason) => console.log('rejection', reason.message));
setTimeout(() => console.log('still alive'), 5);
Promise.reject(new Error('nobody cares'));
throw new Error('first');
