// Gateways for short messages, with fetch.
class GatewayError extends Error {}

class Gateway {
  constructor() {
    this.base = `http://127.0.0.1:${process.env.UPSTREAM_PORT}`;
  }

  async call(call) {
    if (call.gateways) {
      await Promise.any(call.gateways.map((base) => this.post(base, call)));
      return;
    }
    const answer = await this.retried(call, call.attempts ?? 1);
    if (answer.state !== 'sent') {
      throw new GatewayError(`message for ${call.name} in ${call.city} is ${answer.state}`);
    }
    answer.receipt.id.toString();
  }

  async retried(call, attempts) {
    try {
      return await this.post(call.base ?? this.base, call);
    } catch (error) {
      if (attempts <= 1 || !(error instanceof TypeError)) {
        throw error;
      }
      return await this.retried(call, attempts - 1);
    }
  }

  async post(base, call) {
    const url = `${base}/messages/${encodeURIComponent(call.message)}`;
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(call), signal: AbortSignal.timeout(1000) });
    if (!response.ok) {
      throw new GatewayError(`POST ${url} failed with ${response.status}: ${await response.text()}`);
    }
    return response.json();
  }
}

module.exports = { Gateway };
