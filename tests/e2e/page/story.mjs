// SPDX-License-Identifier: Apache-2.0
// What a small fleet tells while it is rolled out and at work: for the page's tests against the stand-in.

export const members = [
  { name: 'node-1', id: '01KAJ0M7Q2V4T8XW5R6Y9ZB1CD', url: 'http://10.8.0.11:8080', version: '0.1.0', cpus: 16, self: true, leader: false },
  { name: 'node-2', id: '01KAJ0M9E4N6P8RS2T3V5W7X9Y', url: 'http://10.8.0.12:8080', version: '0.1.0', cpus: 16, self: false, leader: true },
  { name: 'node-3', id: '01KAJ0MB81C3D5F7G9H2J4K6M8', url: 'http://10.8.0.13:8080', version: '0.1.0', cpus: 16, self: false, leader: false },
];
export const identity = members[0].id;

export function cluster() {
  return {
    node_name: 'node-1', role: 'member',
    zookeeper: {
      state: 'CONNECTED', since: new Date(Date.now() - 5.4e6).toISOString(), embedded: false,
      servers: ['10.8.0.11:2181', '10.8.0.12:2181', '10.8.0.13:2181'], session_id: '0x30000a1f4c20003', session_timeout_ms: 10000,
    },
    leader: { name: 'node-2', epoch: 7 }, members, min_nodes: 3, alert: false,
    counts: { elections_won: 2, sessions: 1, suspensions: 1, session_losses: 0 },
  };
}

// `tick` counts the polls: what the node does goes up and down.
export function node(tick) {
  const wave = (i) => Math.max(0, Math.sin(tick / 5 + i * 0.7) + 0.55 + 0.35 * Math.sin(tick * 1.7 + i));
  const workers = Array.from({ length: 8 }, (_, i) => ({
    cpu: i, numa_node: i < 4 ? 0 : 1, bytes_in_flight: Math.round(wave(i) * 24e6), leased_bytes: Math.round(wave(i) * 61e6),
    budget_bytes: 268435456, pages: 'explicit 2 MiB', images: 4100 + Math.round(i * 37 + tick * 9 + 20 * Math.sin(tick / 3.5) + 3 * Math.sin(tick * 1.3)),
  })).map((worker) => ({ ...worker, requests: Math.round(worker.images * 1.35), images_busy_ns: Math.round(worker.images * 8.1e6) }));
  return {
    version: '0.1.0', id: identity, backend: 'io_uring', node_name: 'node-1', isa: 'avx2', uptime_s: 93421 + 2 * tick, workers,
    arenas: [{ numa_node: 0, cpus: [8, 9, 10, 11], threads: 4 }, { numa_node: 1, cpus: [12, 13, 14, 15], threads: 4 }], fallbacks: [],
    fleet: { zookeeper: 'CONNECTED', embedded: false, members: 3, role: 'member', epoch: 7, alert: false },
    limits: { upload_bytes: 268435456 },
  };
}

// The third does not answer.
export const nodes = (tick) => ({ nodes: [node(tick), { ...node(tick + 3), id: members[1].id, node_name: 'node-2' }], unreachable: ['node-3'] });

const ulid = (n) => `01KAJ${String(n).padStart(6, '0')}V4T8XW5R6Y9ZB1C`;

export function jobs() {
  const at = (seconds) => new Date(Date.now() - 1000 * seconds).toISOString();
  const job = (n, state, filename, width, height, nodeName, start, end) => ({
    id: ulid(n), state, node: nodeName, created_at: at(start + 2), started_at: state === 'queued' ? null : at(start),
    finished_at: end === null ? null : at(end), attempts: 1, program_version: '0.1.0', options: { rule: 'exact', color: 'luma' },
    input: { bytes: width * height * 2, sha256: 'ab'.repeat(32), format: 'tiff', width, height, filename },
    ...(state === 'done' ? { result: { bytes: Math.round(width * height * 1.6), media_type: 'image/tiff', lut_digest: 'sha-256=00', href: `/v1/jobs/${ulid(n)}/result` } } : {}),
    ...(state === 'failed' ? { error: { title: 'The image is broken', detail: 'strip 14 of 96 ends 512 bytes early' } } : {}),
  });
  return [
    job(9, 'running', 'harbour-2026-11-22T031500.tif', 12000, 9000, 'node-2', 14, null),
    job(8, 'running', 'harbour-2026-11-22T031000.tif', 12000, 9000, 'node-3', 21, null),
    job(7, 'queued', 'harbour-2026-11-22T032000.tif', 12000, 9000, 'node-1', 6, null),
    job(6, 'done', 'tissue-slide-0418.tif', 8192, 8192, 'node-1', 240, 237.6),
    job(5, 'done', 'tissue-slide-0417.tif', 8192, 8192, 'node-2', 310, 307.1),
    job(4, 'failed', 'tissue-slide-0416.tif', 8192, 8192, 'node-3', 330, 329.2),
    job(3, 'done', 'moon-north-rim.png', 4096, 3072, 'node-1', 1900, 1898.9),
  ];
}

export function datasets() {
  const images = (total, counted, done, failed = 0) => ({ total, queued: total - counted, running: 0, counted, done, failed, bytes: total * 134e6 });
  const dataset = (n, name, phase, done, total, parts, revision) => ({
    id: ulid(100 + n), name, created_at: new Date(Date.now() - 7.2e6).toISOString(), changed_at: new Date().toISOString(),
    options: { method: 'global', rule: 'exact' }, images: images(total, done, done),
    lut: revision ? { revision, digest: 'sha-256=127a1134bba7e1f9', origin: 'counted', images: total, stale: false, made_at: '', kinds: [] } : null,
    progress: { phase, items_done: done, items_total: total, bytes_done: 0, bytes_total: 0 },
    nodes: parts.map(([name2, all, counted, made, failed]) => ({ name: name2, reachable: all !== null, images: all === null ? {} : images(all, counted, made, failed) })),
  });
  return [
    dataset(1, 'harbour, November', 'counting', 1126, 1440, [['node-1', 486, 402, 0], ['node-2', 470, 371, 0], ['node-3', 484, 353, 0]], 0),
    dataset(2, 'tissue slides 2026-Q4', 'applying', 344, 418, [['node-1', 140, 140, 121], ['node-2', 138, 138, 112, 1], ['node-3', 140, 140, 111]], 2),
    dataset(3, 'moon atlas', 'idle', 96, 96, [['node-1', 32, 32, 32], ['node-2', 32, 32, 32], ['node-3', 32, 32, 32]], 1),
  ];
}

const event = (type, severity, nodeName, timeMs, data, more = {}) => ({
  specversion: '1.0', source: `/nodes/${nodeName}`, type: `io.histod.${type}`, severity, node: nodeName,
  time: new Date(timeMs).toISOString(), datacontenttype: 'application/json', data, ...more,
});

const layers = { terraform: 'hardware', tinkerbell: 'os', ansible: 'os', kubeadm: 'kubernetes', argocd: 'gitops', k8s: 'workload' };

// [tool, resource, start second, seconds; null: still going on, failure, status]
const steps = [
  ['terraform', 'latitudesh_ssh_key.ops', 2, 1.2], ['terraform', 'latitudesh_virtual_network.fleet', 2, 3.8],
  ['terraform', 'latitudesh_server.node["node-1"]', 6, 141], ['terraform', 'latitudesh_server.node["node-2"]', 6, 152],
  ['terraform', 'latitudesh_server.node["node-3"]', 6, 163], ['terraform', 'latitudesh_vlan_assignment.node["node-1"]', 148, 4.1],
  ['terraform', 'latitudesh_firewall_assignment.fleet', 170, 2.3],
  ['tinkerbell', 'node-1 / image2disk', 152, 58], ['tinkerbell', 'node-2 / image2disk', 160, 61], ['tinkerbell', 'node-3 / image2disk', 171, 60],
  ['ansible', 'base : load kernel modules', 236, 2.1, '', 'changed'], ['ansible', 'base : sysctl', 238, 1.4, '', 'changed'],
  ['ansible', 'containerd : install', 240, 24, '', 'changed'], ['ansible', 'histod_host : reserve 2 MiB pages', 264, 3.2, '', 'changed'],
  ['ansible', 'base : swap off', 267, 0.6, '', 'skipped'],
  ['kubeadm', 'init node-1', 271, 38], ['kubeadm', 'join node-2', 310, 17], ['kubeadm', 'join node-3', 310, 19], ['kubeadm', 'CNI ready', 330, 14],
  ['argocd', 'Application/zookeeper', 346, 22], ['argocd', 'Application/histod', 368, null],
  ['k8s', 'StatefulSet/zookeeper 3/3', 350, 18], ['k8s', 'DaemonSet/histod 2/3', 372, null], ['k8s', 'Pod/histod-6xk2p', 373, 9], ['k8s', 'Pod/histod-q9w4d', 373, 11],
  ['k8s', 'Pod/histod-t7z1m', 374, 20, 'ErrImagePull: registry.fleet.internal/histod@sha256:9f2c41ab: manifest unknown'],
];

export function rollout(startMs, rolloutid, more = {}) {
  const told = [];
  for (const [tool, resource, start, seconds, error = '', status = 'succeeded'] of steps) {
    const base = { layer: layers[tool], resource, tool };
    const say = (verb, severity, second, data) => told.push(event(`rollout.${tool}.${verb}`, severity, 'node-1', startMs + 1000 * second, { ...base, ...data }, { rolloutid, ...more }));
    say('started', 'info', start, { status: 'started', message: `${resource} started` });
    if (seconds === null) continue;
    const duration_ms = Math.round(1000 * seconds);
    if (error) say('failed', 'error', start + seconds, { status: 'failed', duration_ms, error, message: `${resource} failed: ${error}` });
    else say('completed', 'info', start + seconds, { status, duration_ms, message: `${resource} ${status} after ${seconds} s` });
  }
  return told.sort((a, b) => (a.time < b.time ? -1 : 1));
}

export function incidents(startMs) {
  const say = (type, severity, nodeName, second, message) => event(type, severity, nodeName, startMs + 1000 * second, { message });
  return [
    say('zookeeper.connected', 'ok', 'node-1', 0, 'ZooKeeper Connection: OK'), say('zookeeper.connected', 'ok', 'node-2', 1, 'ZooKeeper Connection: OK'),
    say('zookeeper.connected', 'ok', 'node-3', 2, 'ZooKeeper Connection: OK'),
    say('cluster.leader', 'warning', 'node-2', 4, 'node-2 was elected leader, epoch 7'), say('cluster.node_joined', 'ok', 'node-3', 5, 'node-3 joined: 3 of at least 3 nodes'),
    say('secops.peer_intrusion', 'error', 'node-1', 61, 'Blocked intrusion: 203.0.113.77 asked as a peer with an unknown token, 5 times'),
    say('zookeeper.suspended', 'warning', 'node-3', 92, 'ZooKeeper Connection: WARNING: SUSPENDED'),
    say('cluster.alert', 'error', 'node-2', 94, 'Cluster alert: 2 of at least 3 nodes are there'),
    say('zookeeper.connected', 'ok', 'node-3', 99, 'ZooKeeper Connection: OK'), say('cluster.alert_over', 'ok', 'node-2', 100, 'Cluster alert is over: 3 of at least 3 nodes are there'),
    say('secops.token_refused', 'warning', 'node-1', 130, 'A token was refused: 198.51.100.23, 3 in the last minute'),
  ];
}

const lines = [
  ['info', 'http', 'accepted', () => ({ remote: '10.8.0.31', bytes: 2_411_724 })], ['info', 'job', 'accepted', (i) => ({ job: ulid(i), replicas: 2, ms: 4.1 })],
  ['info', 'job', 'done', (i) => ({ job: ulid(i), rule: 'exact', ms: 812 + (i % 90) })], ['info', 'spread', 'part counted', (i) => ({ image: ulid(i), rows: '3000-6000', ms: 41 })],
  ['warn', 'pool', 'waiting for memory', (i) => ({ wanted: 33554432, leased_percent: 90 + (i % 9) })],
  ['info', 'dataset', 'lut made', (i) => ({ dataset: 'tissue slides 2026-Q4', revision: 2, images: 418 + (i % 3) })],
  ['error', 'spool', 'checksum differs, copy asked of another node', (i) => ({ job: ulid(i), from: 'node-2' })],
];

// Line `i` of the fleet's logs.
export function logLine(i, timeMs) {
  const pick = i % 41 === 17 ? 6 : i % 13 === 5 ? 4 : [0, 1, 2, 3, 0, 5, 2][i % 7];
  const [level, area, message, fields] = lines[pick];
  const severity = { warn: 'warning' }[level] ?? level;
  return event(`log.${level}`, severity, members[(i * 7) % 3].name, timeMs, { message: `${area}: ${message}`, fields: { worker: i % 8, ...fields(i) } });
}
