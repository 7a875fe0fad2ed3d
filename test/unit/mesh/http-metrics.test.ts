import assert from 'node:assert/strict';
import { Registry } from 'prom-client';
import { countEnd, newHttpPortCounters, newRouteCounters } from '../../../mesh/http/counters.ts';
import { registerHttpMetrics } from '../../../mesh/http/metrics.ts';

describe('http metrics', () => {
  it('show what was counted, per route and port', async () => {
    const registry = new Registry();
    const route = { ...newRouteCounters(80, 'a.example.com', '/api'), service: 'shop', open: 2 };
    countEnd(route, 200, 3);
    countEnd(route, 201, 70);
    countEnd(route, 503, 20_000);
    countEnd(route, 101, undefined);
    countEnd(route, 0, 1);
    const port = { ...newHttpPortCounters(), unknown: 4 };
    registerHttpMetrics(registry, { routeCounters: new Map([['x', route]]), portCounters: new Map([[80, port]]) });
    for (let scrape = 0; scrape < 2; scrape++) {
      const text = await registry.metrics();
      const labels = 'port="80",service="shop",host="a.example.com",path="/api"';
      for (const line of [
        `shoal_mesh_http_requests_total{${labels},class="2xx"} 2`,
        `shoal_mesh_http_requests_total{${labels},class="5xx"} 1`,
        `shoal_mesh_http_requests_total{${labels},class="1xx"} 1`,
        `shoal_mesh_http_requests_total{${labels},class="aborted"} 1`,
        `shoal_mesh_http_open_requests{${labels}} 2`,
        `shoal_mesh_http_request_duration_seconds_bucket{${labels},le="0.005"} 2`,
        `shoal_mesh_http_request_duration_seconds_bucket{${labels},le="0.1"} 3`,
        `shoal_mesh_http_request_duration_seconds_bucket{${labels},le="+Inf"} 4`,
        `shoal_mesh_http_request_duration_seconds_count{${labels}} 4`,
        `shoal_mesh_http_request_duration_seconds_sum{${labels}} 20.074`,
        'shoal_mesh_http_unknown_total{port="80"} 4',
      ]) {
        assert.ok(text.includes(`${line}\n`), `${line} in\n${text}`);
      }
      assert.match(text, /# TYPE shoal_mesh_http_request_duration_seconds histogram/);
    }
  });
});
