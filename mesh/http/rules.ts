// Which service a request is for: by the host it names, then by its path. Pure.
// An exact host goes before a wildcard, the longer wildcard before the shorter, any wildcard before no host; then the longest path that matches, on whole segments.

export interface Rule {
  /** "app.example.com", "*.example.com" (one label or more), or "": any. Lower case. */
  readonly host: string;
  /** Starts with "/". */
  readonly path: string;
}

export interface Rules<T> {
  /** `host` as `hostOf` gives it; `path` without its query. */
  find(host: string, path: string): T | undefined;
}

/** Longest name that DNS knows; what is longer is no wildcard's. */
const MAX_HOST_LENGTH = 253;

/** Longest path first. */
type Paths<T> = { readonly path: string; readonly value: T }[];

export function rulesOf<T>(entries: readonly (readonly [Rule, T])[]): Rules<T> {
  const hosts = new Map<string, Paths<T>>();
  for (const [{ host, path }, value] of entries) {
    const paths = hosts.get(host) ?? [];
    paths.push({ path: withoutEnd(path), value });
    hosts.set(host, paths);
  }
  for (const paths of hosts.values()) paths.sort((a, b) => b.path.length - a.path.length);
  const wildcards = [...hosts.keys()].some((host) => host.startsWith('*.'));
  return {
    find: (host, path) => {
      const exact = longest(hosts.get(host), path);
      if (exact !== undefined) return exact;
      if (wildcards && host.length <= MAX_HOST_LENGTH) {
        for (let dot = host.indexOf('.'); dot > 0; dot = host.indexOf('.', dot + 1)) {
          const found = longest(hosts.get(`*${host.slice(dot)}`), path);
          if (found !== undefined) return found;
        }
      }
      return host === '' ? undefined : longest(hosts.get(''), path);
    },
  };
}

/** The host of a Host header or of a request's absolute target, as rules write it: no port, no final dot, lower case. "" for none. */
export function hostOf(authority: string | undefined): string {
  if (authority === undefined) return '';
  const end = authority.startsWith('[') ? authority.indexOf(']') + 1 : authority.indexOf(':');
  const host = (end > 0 ? authority.slice(0, end) : authority).toLowerCase();
  return host.endsWith('.') ? host.slice(0, -1) : host;
}

function longest<T>(paths: Paths<T> | undefined, path: string): T | undefined {
  return paths?.find((rule) => path.startsWith(rule.path) && (path.length === rule.path.length || path[rule.path.length] === '/'))?.value;
}

/** "/api/" and "/api" are one rule; "/" takes every path. */
function withoutEnd(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path;
}
