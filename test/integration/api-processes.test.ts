import { once } from 'node:events';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { startRoundRobin } from '../../bench/round-robin.js';
import { freshName } from '../helpers/databases.js';
import { storesOf } from '../helpers/platform-stores.js';
import { startPlatform, type GraphQLAnswer } from '../helpers/platform.js';
import { pictures, predict } from '../helpers/predicting.js';
import { defineSmallModel, publishRandomVersion } from '../helpers/published-version.js';

interface Sent {
  readonly picture: number;
  /** Of its connection, which it has for itself. */
  readonly clientPort: number;
  readonly begunAt: number;
  /** Missing where there was none. */
  readonly answer: GraphQLAnswer | undefined;
}

const PREDICT = `query ($input: PredictInput!) { predict(input: $input) { predictions { top { index probability } } } }`;
const IN_FLIGHT = 24;

/** Sends a body on a connection of its own. @returns the connection's port, and the answer if there is one */
async function post(port: number, key: string, body: string): Promise<Pick<Sent, 'clientPort' | 'answer'>> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const call = request({ port, path: '/graphql', method: 'POST', headers, agent: false });
  call.on('error', () => undefined).end(body);
  const [socket] = (await once(call, 'socket')) as [Socket];
  if (socket.connecting) await once(socket, 'connect');
  const clientPort = socket.localPort!;
  try {
    const [response] = await once(call, 'response');
    return { clientPort, answer: JSON.parse(await text(response)) as GraphQLAnswer };
  } catch {
    return { clientPort, answer: undefined };
  }
}

/** Probabilities by class of the one picture. */
const inOrder = ({ data }: GraphQLAnswer): number[] =>
  data.predict.predictions[0].top
    .toSorted((a: { index: number }, b: { index: number }) => a.index - b.index)
    .map(({ probability }: { probability: number }) => probability);

test('of two API processes behind one port one is killed: what it was answering fails, nothing else', async () => {
  const platform = await startPlatform();
  const stores = storesOf(platform);
  onTestFinished(async () => {
    await stores.database.$disconnect();
    await platform.stop();
  });
  const killed = await platform.startApiProcess();
  const { model } = await publishRandomVersion(stores, await defineSmallModel(stores.database, freshName('m-')), 1);
  const images = await pictures(8);
  const expected = (await predict(platform.graphql, model.name, images)).probabilities!;
  const [survivorPort, killedPort] = [platform.url, killed.url].map((url) => Number(new URL(url).port)) as [number, number];
  const servers = new Map<number, number>();
  const balancer = await startRoundRobin([survivorPort, killedPort], (server, client) => servers.set(client, server));
  onTestFinished(() => balancer.stop());

  const send = async (picture: number): Promise<Sent> => {
    const variables = { input: { model: model.name, images: [images[picture]], topK: 10 } };
    const begunAt = performance.now();
    return { picture, begunAt, ...(await post(balancer.port, platform.adminKey, JSON.stringify({ query: PREDICT, variables }))) };
  };
  const sent: Sent[] = [];
  let over = false;
  onTestFinished(() => void (over = true));
  const lane = async (first: number) => {
    for (let picture = first; !over; picture++) sent.push(await send(picture % images.length));
  };
  const lanes = Promise.all(Array.from({ length: IN_FLIGHT }, (_, index) => lane(index)));
  const until = (count: number) => vi.waitUntil(() => sent.length >= count, { timeout: 60_000, interval: 5 });
  await until(100);
  // Stopped first, so that it certainly has requests when it dies.
  process.kill(killed.pid, 'SIGSTOP');
  await sleep(300);
  process.kill(killed.pid, 'SIGKILL');
  await killed.ended;
  const diedAt = performance.now();
  await until(sent.length + 200);
  over = true;
  await lanes;

  const at = (port: number) => sent.filter(({ clientPort }) => servers.get(clientPort) === port);
  const failed = sent.filter(({ answer }) => answer === undefined);
  expect(at(survivorPort).length + at(killedPort).length).toBe(sent.length);
  expect(at(killedPort).length).toBeGreaterThan(20);
  expect(failed.length).toBeGreaterThan(0);
  expect(failed.length).toBeLessThanOrEqual(IN_FLIGHT);
  for (const { clientPort, begunAt } of failed) {
    expect(servers.get(clientPort)).toBe(killedPort);
    expect(begunAt).toBeLessThan(diedAt);
  }
  for (const { picture, answer } of sent.filter((each) => each.answer !== undefined))
    inOrder(answer!).forEach((probability, index) => expect(probability).toBeCloseTo(expected[picture]![index]!, 4));
  const later = sent.filter(({ begunAt }) => begunAt > diedAt);
  expect(later.length).toBeGreaterThan(100);
  for (const { clientPort } of later) expect(servers.get(clientPort)).toBe(survivorPort);
});
