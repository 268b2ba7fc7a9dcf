import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK } from 'jose';

export const KEY_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const;
export type KeyAlgorithm = (typeof KEY_ALGORITHMS)[number];
export type Pair = {
  readonly publicKey: CryptoKey;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
};

export async function newPair(alg: KeyAlgorithm, kid: string = alg): Promise<Pair> {
  const options = alg === 'EdDSA' ? { crv: 'Ed25519' } : {};
  const { publicKey, privateKey } = await generateKeyPair(alg, { ...options, extractable: true });
  return { publicKey, privateKey, jwk: { ...(await exportJWK(publicKey)), alg, kid } };
}

/** Whoever hands out keys at JWKS_URL, in whatever way a test wants. */
export type KeyServer = {
  readonly url: string;
  /** How often it was asked. */
  asked: number;
  answer: (response: ServerResponse) => void;
  stop(): Promise<void>;
};

export const keysAre =
  (...keys: unknown[]) =>
  (response: ServerResponse): void => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }));
  };

export async function startKeyServer(answer: KeyServer['answer']): Promise<KeyServer> {
  const server = createServer((_request, response) => {
    keyServer.asked += 1;
    keyServer.answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const keyServer: KeyServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`,
    asked: 0,
    answer,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return keyServer;
}
