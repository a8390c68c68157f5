// Line events of the readline module.
const readline = require('readline');
const rl = readline.createInterface({ input: process.stdin });
const stack = [];
rl.on('line', (line) => {
  const [command, argument] = line.split(' ');
  if (command === 'push') stack.push(Number(argument));
  else if (command === 'pop') console.log('popped', stack.pop());
  else if (command === 'add') stack.push(stack.pop() + stack.pop());
  else console.log('unknown', JSON.stringify(line));
});
rl.on('close', () => console.log('end', stack));
