// A topic a kind of notification.
const { Mailer } = require('./mailer');
const { Store } = require('./store');
const { Gateway } = require('./gateway');
const { Templates } = require('./templates');

async function createConsumer() {
  const store = await Store.open();
  const mailer = new Mailer();
  const gateway = new Gateway();
  const templates = new Templates();
  const handlers = {
    mails: (value) => mailer.send(JSON.parse(value)),
    rows: (value) => store.add(JSON.parse(value)),
    calls: (value) => gateway.call(JSON.parse(value)),
    templates: (value) => templates.render(JSON.parse(value)),
  };
  return async function consume(topic, value) {
    await handlers[topic](value);
  };
}

module.exports = { createConsumer };
