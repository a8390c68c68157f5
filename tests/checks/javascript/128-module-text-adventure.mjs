// Commands on standard input walk through rooms; leaving sets the exit code.
import fs from 'fs';
const rooms = { hall: { north: 'library', east: 'kitchen' }, library: { south: 'hall' }, kitchen: { west: 'hall', down: 'cellar' }, cellar: { up: 'kitchen' } };
let at = 'hall'; const bag = new Set(); const items = { library: 'book', cellar: 'key' };
for (const line of fs.readFileSync(0, 'utf8').split('\n')) {
  const [verb, noun] = line.trim().toLowerCase().split(/\s+/);
  if (!verb) continue;
  if (verb === 'go') { const to = rooms[at][noun]; console.log(to ? `You enter the ${to}.` : `No way ${noun}.`); at = to ?? at; }
  else if (verb === 'take') { if (items[at] === noun) { bag.add(noun); delete items[at]; console.log('Taken.'); } else console.log(`No ${noun} here.`); }
  else if (verb === 'look') console.log(at, Object.keys(rooms[at]), items[at] ?? null);
  else if (verb === 'quit') { console.log(bag); process.exit(bag.size); }
  else console.log('What?');
}
