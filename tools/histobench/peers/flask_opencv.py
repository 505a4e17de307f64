# SPDX-License-Identifier: Apache-2.0
"""A peer of histobench: the service that one would write in an afternoon. POST /equalize takes an image file that OpenCV can
read and answers with an uncompressed TIFF. Its first line says on which port it listens, and what it is made of."""
import logging

import cv2
import flask
import numpy
import werkzeug.serving

app = flask.Flask("peer")


@app.post("/equalize")
def equalize():
    image = cv2.imdecode(numpy.frombuffer(flask.request.get_data(cache=False), numpy.uint8), cv2.IMREAD_UNCHANGED)
    done, encoded = cv2.imencode(".tif", cv2.equalizeHist(image), [cv2.IMWRITE_TIFF_COMPRESSION, 1])
    return flask.Response(encoded.tobytes() if done else b"", 200 if done else 422, mimetype="image/tiff")


logging.getLogger("werkzeug").setLevel(logging.ERROR)
werkzeug.serving.WSGIRequestHandler.protocol_version = "HTTP/1.1"  # else each request pays for a connection
server = werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True)
print(f"port {server.server_port} Flask {flask.__version__}, OpenCV {cv2.__version__}", flush=True)
server.serve_forever()
