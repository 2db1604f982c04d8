// The receiver of docs/webhooks.md in TypeScript.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET!);

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const id = request.headers["webhook-id"];
  try {
    const event = webhook.verify(Buffer.concat(chunks), request.headers as Record<string, string>) as { type: string };
    console.log(id, event.type);
    response.writeHead(204).end();
  } catch (error) {
    console.log(id, String(error));
    response.writeHead(401).end();
  }
});
server.listen(Number(process.env.PORT ?? 8000), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
