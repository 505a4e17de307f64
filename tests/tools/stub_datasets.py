# SPDX-License-Identifier: Apache-2.0
"""The stub server with datasets: images of one dataset are counted, and equalized by one table, as they are looked at."""
import json
import re
import secrets

import stub_server
from stub_server import CROCKFORD, digest_of, exact_lut, parse_pgm

STATES = ("queued", "running", "counted", "done", "failed")


class DatasetHandler(stub_server.Handler):
    def bodiless(self, path):
        return re.fullmatch(r"/v1/datasets(/[^/]+/(finalize|apply))?", path) is not None

    def route(self, path, query, body):
        if not path.startswith("/v1/datasets"):
            super().route(path, query, body)
        elif path == "/v1/datasets":
            self.create(query) if self.command == "POST" else self.list_datasets(query)
        else:
            dataset_id, _, what = path.removeprefix("/v1/datasets/").partition("/")
            dataset = self.server.datasets.get(dataset_id)
            if dataset is None:
                self.problem(404, "not-found", "there is no such dataset", value=dataset_id)
            else:
                getattr(self, f"dataset_{what or 'itself'}")(dataset, query, body)

    def job(self, job_id, result=None):
        """Jobs of datasets go on when their dataset is looked at, not they."""
        job = self.server.jobs.get(job_id)
        if self.command == "GET" and not result and job and "dataset" in job["record"]:
            self.answer(200, json.dumps(job["record"]).encode())
        else:
            super().job(job_id, result)

    def create(self, query):
        dataset_id = self.server.add_dataset(query)
        self.tell(self.server.datasets[dataset_id], 201, {"Location": f"/v1/datasets/{dataset_id}"})

    def list_datasets(self, query):
        all_of_them = [self.server.describe(d) for d in reversed(self.server.datasets.values())]
        self.answer(200, json.dumps({"datasets": all_of_them[:int(query.get("limit", 100))]}).encode())

    def tell(self, dataset, status=200, fields=None):
        self.answer(status, json.dumps(self.server.describe(dataset)).encode(), fields=fields)

    def dataset_itself(self, dataset, _query, _body):
        if self.command == "DELETE":
            for job in self.server.jobs_of(dataset):
                del self.server.jobs[job["record"]["id"]]
            del self.server.datasets[dataset["id"]]
            self.answer(204)
            return
        self.server.go_on(dataset)
        self.tell(dataset)

    def dataset_images(self, dataset, query, body):
        if self.command == "GET":
            jobs = [job["record"] for job in self.server.jobs_of(dataset)]
            ids = [record["id"] for record in jobs]
            begin = ids.index(query["after"]) + 1 if "after" in query else 0
            rest = [record for record in jobs[begin:] if query.get("state") in (None, record["state"])]
            page = rest[:min(int(query.get("limit", 100)), self.server.page_max)]
            following = page[-1]["id"] if len(page) < len(rest) else None
            self.answer(200, json.dumps({"jobs": page, "next": following, **self.server.missing()}).encode())
            return
        with self.server.lock:
            key = self.headers.get("Idempotency-Key")
            job_id = self.server.keys.get(key) or self.server.add_job({}, self.image_of(body), query)
            self.server.keys[key] = job_id
            self.server.jobs[job_id]["record"]["dataset"] = dataset["id"]
        self.answer(202, json.dumps(self.server.jobs[job_id]["record"]).encode(), fields={"Location": f"/v1/jobs/{job_id}"})

    def dataset_finalize(self, dataset, _query, _body):
        jobs = self.server.jobs_of(dataset)
        waiting = sum(job["record"]["state"] in ("queued", "running") for job in jobs)
        samples = b"".join(parse_pgm(job["image"])[2] for job in jobs if job["record"]["state"] in ("counted", "done"))
        if waiting:
            self.problem(409, "not-finished", "images are not counted yet", value=waiting)
        elif not samples:
            self.problem(409, "empty-dataset", "there are no images")
        else:
            self.server.set_lut(dataset, "counted", exact_lut(samples)[1])
            self.tell(dataset)

    def dataset_apply(self, dataset, _query, _body):
        if self.needs_lut(dataset):
            return
        for job in self.server.jobs_of(dataset):
            if job["record"]["state"] in ("counted", "done"):
                job["record"]["state"] = "queued"
        dataset["applying"] = True
        self.tell(dataset, 202)

    def needs_lut(self, dataset):
        if dataset["lut"] is None:
            self.problem(409, "not-finalized", "the dataset has no table yet")
        return dataset["lut"] is None

    def dataset_lut(self, dataset, query, body):
        if self.command == "PUT":
            text = body.decode()
            if self.headers["Content-Type"] == "text/plain":
                table = [int(line) for line in text.splitlines() if not line.startswith("#")]
            else:
                table = json.loads(text)["kinds"][0]["tables"][0]
            self.server.set_lut(dataset, "uploaded", table)
            self.tell(dataset)
        elif self.needs_lut(dataset):
            return
        elif int(query.get("kind", 0)) > 0:
            self.problem(400, "bad-option", "there is no such kind of images", value=int(query["kind"]), limit=0)
        elif self.headers["Accept"] == "text/plain":
            self.answer(200, lut_text(dataset["table"]).encode(), "text/plain")
        else:
            self.answer(200, lut_json(dataset["table"]).encode())


def lut_json(table):
    kind = {"quantity": "brightness", "planes": 1, "bins": 256, "levels": 256, "tables": [table]}
    return json.dumps({"histod_lut": 1, "digest": digest_of(table), "kinds": [kind]})


def lut_text(table):
    return "# histod lut 1\n# quantity brightness\n# planes 1\n# bins 256\n# levels 256\n" + "".join(f"{v}\n" for v in table)


class DatasetServer(stub_server.StubServer):
    handler = DatasetHandler
    planned = (*stub_server.StubServer.planned, "/v1/datasets")

    def __init__(self):
        self.datasets = {}
        self.page_max = 1000
        self.pace = 2  # images that are counted or equalized each time that somebody looks at their dataset
        super().__init__()

    def add_dataset(self, query):
        dataset_id = "".join(secrets.choice(CROCKFORD) for _ in range(26))
        options = {name: value for name, value in query.items() if name != "name"}
        self.datasets[dataset_id] = {"id": dataset_id, "name": query.get("name", ""), "options": options, "lut": None,
                                     "table": None, "applying": False}
        return dataset_id

    def jobs_of(self, dataset):
        return [job for job in list(self.jobs.values()) if job["record"].get("dataset") == dataset["id"]]

    def set_lut(self, dataset, origin, table):
        revision = (dataset["lut"] or {"revision": 0})["revision"] + 1
        dataset["table"] = table
        dataset["lut"] = {"revision": revision, "digest": digest_of(table), "origin": origin, "stale": False, "kinds": [],
                          "images": len(self.jobs_of(dataset)), "made_at": "2026-01-02T03:04:05.678Z"}

    def go_on(self, dataset):
        waiting = [job for job in self.jobs_of(dataset) if job["record"]["state"] in ("queued", "running")]
        for job in waiting[:self.pace]:
            record, pgm = job["record"], parse_pgm(job["image"])
            if pgm is None:
                record.update(state="failed", error={"type": "urn:histod:problem:broken-image", "title": "broken image",
                                                     "status": 422, "detail": "the file ends early"})
            elif dataset["applying"]:
                job["bytes"] = b"P5\n%d %d\n255\n" % pgm[:2] + bytes(dataset["table"][s] for s in pgm[2])
                record.update(state="done", result={"bytes": len(job["bytes"]), "media_type": "image/x-portable-graymap",
                                                    "lut_digest": dataset["lut"]["digest"],
                                                    "href": f"/v1/jobs/{record['id']}/result"})
            else:
                record["state"] = "counted"

    def describe(self, dataset):
        records = [job["record"] for job in self.jobs_of(dataset)]
        counts = {state: sum(record["state"] == state for record in records) for state in STATES}
        waiting = counts["queued"] + counts["running"]
        phase = "idle" if waiting == 0 else "applying" if dataset["applying"] else "counting"
        total_bytes = sum(record["input"]["bytes"] for record in records)
        return {"id": dataset["id"], "name": dataset["name"], "created_at": "2026-01-02T03:04:05.678Z",
                "changed_at": "2026-01-02T03:04:05.678Z", "options": dataset["options"],
                "images": {"total": len(records), **counts, "bytes": total_bytes}, "lut": dataset["lut"],
                "progress": {"phase": phase, "items_done": len(records) - waiting, "items_total": len(records),
                             "bytes_done": 0, "bytes_total": total_bytes}}
