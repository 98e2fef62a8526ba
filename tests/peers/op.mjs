// A certified OpenID provider implementation as the e-ID of the tests: persons to pick from instead of a card reader.
// Usage: node op.mjs PORT REDIRECT_URI [CLIENT_SECRET]
import Provider from 'oidc-provider';

const [port, redirect, secret = 'test-secret'] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const number = 'https://id.oidc.se/claim/personalIdentityNumber';
const level = 'http://id.elegnamnden.se/loa/1.0/loa3';

// Official test numbers of the Swedish tax agency: nobody has them.
const persons = {
  eva: { name: 'Eva Rätt', [number]: '198501012382' },
  adam: { name: 'Adam Fel', [number]: '198501012390' },
  low: { name: 'Låg Nivå', [number]: '189001019802', low: true },
};

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'sealgate',
    client_secret: secret,
    redirect_uris: [redirect],
    response_types: ['code'],
    grant_types: ['authorization_code'],
    token_endpoint_auth_method: 'client_secret_basic',
  }],
  acrValues: [level, 'urn:low'],
  claims: { acr: null, openid: ['sub', 'name', number] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  features: { devInteractions: { enabled: false } },
  cookies: { keys: ['only for tests'] },
  interactions: { url: (_ctx, interaction) => `/pick/${interaction.uid}` },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...persons[id] }) }),
  ttl: { Interaction: 600, Session: 600, Grant: 600, AccessToken: 300, IdToken: 300, AuthorizationCode: 60 },
});

// The page on which a person is picked; with ?person= nobody needs to click.
provider.use(async (ctx, next) => {
  const match = /^\/pick\/([^/]+)$/.exec(ctx.path);
  if (!match) return next();
  const details = await provider.interactionDetails(ctx.req, ctx.res);
  const who = ctx.query.person;
  if (!who) {
    ctx.type = 'html';
    ctx.body = `<!doctype html><html lang="en"><title>Test e-ID</title><main><h1>Test e-ID</h1>${Object.keys(persons)
      .map((id) => `<p><a id="${id}" href="/pick/${match[1]}?person=${id}">${persons[id].name}</a></p>`).join('')}</main></html>`;
    return undefined;
  }
  const grant = new provider.Grant({ accountId: who, clientId: details.params.client_id });
  grant.addOIDCScope('openid');
  grant.addOIDCClaims(['name', number]);
  const result = {
    login: { accountId: who, acr: persons[who].low ? 'urn:low' : level, remember: false },
    consent: { grantId: await grant.save() },
  };
  ctx.respond = false;
  await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: false });
  return undefined;
});

provider.listen(Number(port), '127.0.0.1', () => console.log(`ready ${issuer}`));
