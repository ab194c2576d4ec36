// Lets kafkajs-async-retry write dead letters. No broker is needed: the producer writes down what it is to send.
const fs = require("fs");
const { DeadLetter, default: AsyncRetryHelper } = require("kafkajs-async-retry");

const base64 = (value) => (value === null || value === undefined ? null : Buffer.from(value).toString("base64"));
const lines = [];
let name;
let last;
const producer = {
  async send({ topic, messages }) {
    for (const { key, value, headers } of messages) {
      const pairs = Object.entries(headers || {}).map(([header, text]) => [header, base64(text)]);
      lines.push(
        JSON.stringify({
          name, topic, partition: null, timestamp_ms: null, key: base64(key), value: base64(value), headers: pairs,
        })
      );
      last = { topic, message: { key, value, headers } };
    }
  },
};

async function fail(record, topic, message, error) {
  name = record;
  const helper = new AsyncRetryHelper({ producer, groupId: "shippers", maxRetries: 2, retryDelays: [0.001] });
  const handler = helper.eachMessage(async () => {
    throw error;
  });
  await handler({ topic, partition: 3, message, pause: () => () => {} });
}

async function main() {
  // As a consumer of kafkajs gives them.
  const message = { key: Buffer.from("C-1"), value: Buffer.from("an order"), headers: { trace: Buffer.from("t-1") } };
  await fail("given-up", "orders", message, new DeadLetter("no stock"));
  await fail("retry", "orders", message, new Error("no stock"));
  await fail("second-retry", last.topic, last.message, new Error("no stock"));
  await fail("retries-exhausted", last.topic, last.message, new Error("no stock"));
  fs.writeFileSync(process.argv[2], lines.join("\n") + "\n");
}

// The helper's own timers do not keep the process alive.
const alive = setInterval(() => {}, 50);
main().finally(() => clearInterval(alive));
