// Which registry an image name means, by Docker's rule: a first part with a dot or a colon, or "localhost", is a host.

const DOCKER_HUB = 'docker.io';
/** Under this key Docker keeps the login of its own registry. */
const DOCKER_HUB_KEY = 'https://index.docker.io/v1/';

/** "docker.io", "ghcr.io", "localhost:5000" */
export function registryOf(image: string): string {
  const [first = '', ...rest] = image.split('/');
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  return !isHost || first === 'index.docker.io' ? DOCKER_HUB : first;
}

/** What the registry is called in Docker's configuration. */
export function configKeyOf(registry: string): string {
  return registry === DOCKER_HUB ? DOCKER_HUB_KEY : registry;
}
