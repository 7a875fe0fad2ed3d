// Docker's X-Registry-Auth: base64 of JSON with user name and password, or an identity token.

export interface RegistryAuth {
  readonly username: string;
  readonly password: string;
  readonly identityToken: string;
}

/** Undefined for the empty string and for what cannot be read: the registry is then asked without. */
export function readRegistryAuth(header: string): RegistryAuth | undefined {
  if (header === '') return undefined;
  const fields = parseFields(header);
  if (fields === undefined) return undefined;
  const auth = {
    username: textOf(fields['username']),
    password: textOf(fields['password']),
    identityToken: textOf(fields['identitytoken']),
  };
  return auth.username === '' && auth.identityToken === '' ? undefined : auth;
}

/** Value of an Authorization header. */
export function basicAuth({ username, password }: RegistryAuth): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function parseFields(header: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(header, 'base64').toString());
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
