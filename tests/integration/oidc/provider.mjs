// The OpenID Connect provider that the tests sign in with: oidc-provider, all of it in memory.
//
// Its one argument is a JSON file: port, client_id, client_secret, redirect_url. Every e-mail
// address can sign in, with any password; those at UNVERIFIED are not verified.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import Provider from 'oidc-provider';

const UNVERIFIED = '@unverified.example';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

const provider = new Provider(`http://127.0.0.1:${settings.port}`, {
  clients: [
    {
      client_id: settings.client_id,
      client_secret: settings.client_secret,
      redirect_uris: [settings.redirect_url],
    },
  ],
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  findAccount: (_context, email) => ({
    accountId: email,
    claims: () => ({
      sub: email,
      email,
      email_verified: !email.endsWith(UNVERIFIED),
    }),
  }),
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: randomBytes(8).toString('hex'), use: 'sig' }] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
});

provider.listen(settings.port, '127.0.0.1');
