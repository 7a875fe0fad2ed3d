// What methods mean to whoever passes them on. Pure.

/** Changes nothing at the replica (RFC 9110, 9.2.1). */
export function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'TRACE';
}

/** May be done twice as well as once (RFC 9110, 9.2.2). */
export function isIdempotent(method: string): boolean {
  return isSafe(method) || method === 'PUT' || method === 'DELETE';
}

/** Servers expect no body of it: without a length it has none. */
export function isBodiless(method: string): boolean {
  return isSafe(method) || method === 'DELETE';
}
