import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeDemoImages } from '../../../../cli/dev/demo-image.ts';

describe('images of the demo', () => {
  let folder: string;
  let engine: Server;
  let removed: string[];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'shoal-image-'));
    removed = [];
    engine = createServer((request, response) => {
      if (request.method === 'GET') {
        assert.match(decodeURIComponent(request.url ?? ''), /"reference":\["shoal-demo"\]/);
        const images = [['shoal-demo:1', 'other:1'], ['localhost/shoal-demo:2'], null, ['shoal-demo:used']];
        response.end(JSON.stringify(images.map((RepoTags) => ({ RepoTags }))));
        return;
      }
      const image = (request.url ?? '').replace('/images/', '');
      removed.push(image);
      response.writeHead(image.endsWith(':used') ? 409 : 200).end('[]');
    });
    await new Promise<void>((resolve) => engine.listen(join(folder, 'engine.sock'), resolve));
  });
  afterEach(() => {
    engine.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('are removed under all their tags, and no others; those in use are named', async () => {
    assert.deepEqual(await removeDemoImages(join(folder, 'engine.sock')), ['shoal-demo:used']);
    assert.deepEqual(removed, ['shoal-demo:1', 'localhost/shoal-demo:2', 'shoal-demo:used']);
  });
});
