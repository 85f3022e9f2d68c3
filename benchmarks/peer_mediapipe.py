"""mediapipe's face mesh, run by the Python that has it (``pip install mediapipe==0.10.21``), which fiducia's has not.

    PYTHON benchmarks/peer_mediapipe.py time PHOTO CALLS          milliseconds of static and of tracking mode, as JSON
    PYTHON benchmarks/peer_mediapipe.py file PHOTO CALLS          the same from file to points, static mode, with processor time
    PYTHON benchmarks/peer_mediapipe.py points LIST OUT.npz       meshes of the photographs that LIST names, one a line

It imports numpy, OpenCV and mediapipe alone. Decoding the photograph is outside of what ``time`` measures.
"""

import json
import sys
import time
from pathlib import Path

import cv2
import mediapipe
import numpy as np


def mesh(static, faces=1):
    return mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=static, max_num_faces=faces, refine_landmarks=False)


def read(path):
    return cv2.cvtColor(cv2.imread(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def clock(photo, calls):
    told = {"mediapipe": mediapipe.__version__}
    for name, static in (("static", True), ("tracking", False)):
        with mesh(static) as find:
            for _ in range(5):
                found = find.process(photo).multi_face_landmarks
            times = []
            for _ in range(calls):
                started = time.perf_counter()
                find.process(photo)
                times.append(1000 * (time.perf_counter() - started))
        told[name] = {"ms": times, "found": bool(found)}
    return told


def clock_file(path, calls):
    wall, cpu = [], []
    with mesh(True) as find:
        for i in range(calls + 5):
            started, busy = time.perf_counter(), time.process_time()
            found = find.process(read(path)).multi_face_landmarks
            points = np.array([[p.x, p.y] for p in found[0].landmark]) if found else None
            if i >= 5:
                wall.append(1000 * (time.perf_counter() - started))
                cpu.append(1000 * (time.process_time() - busy))
    return {"mediapipe": mediapipe.__version__, "ms": wall, "cpu_ms": cpu, "found": points is not None}


def main():
    if sys.argv[1] == "time":
        print(json.dumps(clock(read(sys.argv[2]), int(sys.argv[3]))))
        return
    if sys.argv[1] == "file":
        print(json.dumps(clock_file(sys.argv[2], int(sys.argv[3]))))
        return
    owners, points = [], []
    with Path(sys.argv[2]).open() as lines, mesh(True, 5) as find:
        for i, line in enumerate(lines):
            photo = read(line.strip())
            height, width = photo.shape[:2]
            for face in find.process(photo).multi_face_landmarks or []:
                owners.append(i)
                # Coordinates are shares of the sides, counted from the corner; ours are counted from the first pixel's centre.
                points.append([[p.x * width - 0.5, p.y * height - 0.5] for p in face.landmark])
    np.savez(sys.argv[3], owner=np.array(owners, int), points=np.array(points, float).reshape(-1, 468, 2))


if __name__ == "__main__":
    main()
