// Takes records on standard input and answers each with its failure, or with null.
const readline = require('readline');
const { err } = require('pino-std-serializers');
const { createConsumer } = require('./src/consumer');

async function main() {
  const consume = await createConsumer();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { topic, value } = JSON.parse(line);
    let failed = null;
    try {
      await consume(topic, Buffer.from(value, 'base64').toString('utf8'));
    } catch (error) {
      const told = err(error);
      failed = { error_class: told.type, message: told.message, stacktrace: told.stack };
    }
    process.stdout.write(`${JSON.stringify(failed)}\n`);
  }
  process.exit(0);
}

main();
