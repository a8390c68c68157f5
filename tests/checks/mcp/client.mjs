// An assistant's side of the Model Context Protocol, by the protocol's own library: lists the tools, calls one for each line of standard input, and prints what comes back.
//
// `node client.mjs stdio PROGRAM ARGUMENT…` starts the server; `node client.mjs http URL` speaks to one that runs. A line is `{ "name": …, "arguments": … }`.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

// The packages lie below the target directory, not beside this file.
const require = createRequire(`${process.env.INFINITY_NODE_MODULES}/here.js`);
const load = (name) => import(pathToFileURL(require.resolve(`@modelcontextprotocol/sdk/${name}`)).href);

const { Client } = await load('client/index.js');
const [kind, ...rest] = process.argv.slice(2);
let transport;
if (kind === 'stdio') {
  const { StdioClientTransport } = await load('client/stdio.js');
  transport = new StdioClientTransport({ command: rest[0], args: rest.slice(1), env: { PATH: process.env.PATH } });
} else {
  const { StreamableHTTPClientTransport } = await load('client/streamableHttp.js');
  transport = new StreamableHTTPClientTransport(new URL(rest[0]));
}
const client = new Client({ name: 'tests', version: '1.0.0' });
await client.connect(transport);
const { tools } = await client.listTools();
console.log(JSON.stringify({ server: client.getServerVersion(), instructions: client.getInstructions(), tools }));
for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log(JSON.stringify(await client.callTool(JSON.parse(line), undefined, { timeout: 120_000 })));
  } catch (error) {
    console.log(JSON.stringify({ protocolError: error.message }));
  }
}
await client.close();
