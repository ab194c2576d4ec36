// Takes records on standard input and answers each with its failure, or with null. The stack is what Node prints of an
// error, but for those of axios, which hold the whole request.
import readline from 'node:readline';
import { inspect } from 'node:util';
import { isAxiosError } from 'axios';
import { Catalog } from './lib/catalog.js';

const catalog = await Catalog.start();
for await (const line of readline.createInterface({ input: process.stdin })) {
  const record = JSON.parse(line);
  let failed = null;
  try {
    await catalog.onMessage(record.topic, Buffer.from(record.value, 'base64'));
  } catch (error) {
    const stacktrace = isAxiosError(error) ? error.stack : inspect(error, { depth: 4 });
    failed = { error_class: error.name, message: error.message, stacktrace };
  }
  process.stdout.write(`${JSON.stringify(failed)}\n`);
}
process.exit(0);
