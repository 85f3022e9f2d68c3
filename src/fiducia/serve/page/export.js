// Results as files: JSON and COCO as `fiducia detect` writes them, and the picture with its points.

import { DOUBT, confidenceColour, visiblePoints } from "./viewer.js";

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

export function saveText(value, name) {
  save(new Blob([`${JSON.stringify(value)}\n`], { type: "application/json" }), name);
}

// One photograph: the object of STEM.json; several: a list of them.
export function asJson(results) {
  const rows = results.map((one) => ({
    image: one.image,
    width: one.width,
    height: one.height,
    faces: one.faces,
    source: "auto",
    weights: one.weights,
    weights_sha256: one.weights_sha256,
  }));
  return rows.length === 1 ? rows[0] : rows;
}

export function asCoco(results, scheme, version) {
  const { weights, weights_sha256 } = results[0];
  const annotations = [];
  results.forEach((one, i) => {
    for (const face of one.faces) {
      const [x1, y1, x2, y2] = face.box;
      const [w, h] = [x2 - x1, y2 - y1].map((v) => Math.round(v * 1000) / 1000);
      annotations.push({
        id: annotations.length + 1,
        image_id: i + 1,
        category_id: 1,
        bbox: [x1, y1, w, h],
        area: Math.round(w * h * 1000) / 1000,
        iscrowd: 0,
        num_keypoints: face.points.length,
        keypoints: face.points.flatMap(([x, y]) => [x, y, 2]),
        confidence: face.confidence,
        score: face.score,
        ...(face.quality === undefined ? {} : { quality: face.quality }),
        source: "auto",
      });
    }
  });
  return {
    info: { description: "faces found by fiducia", version, source: "auto", weights, weights_sha256 },
    images: results.map((one, i) => ({ id: i + 1, file_name: one.image, width: one.width, height: one.height })),
    annotations,
    categories: [{
      id: 1,
      name: "face",
      supercategory: "person",
      keypoints: scheme.names,
      skeleton: scheme.edges.map(([i, j]) => [i + 1, j + 1]),
      scheme: scheme.name,
    }],
  };
}

// The whole picture at its own size with what is shown of the faces.
export async function asPng(url, result, scheme, shown) {
  const picture = new Image();
  picture.src = url;
  await picture.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [result.width, result.height];
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0, result.width, result.height);
  context.lineCap = "round";
  const visible = visiblePoints(scheme, shown);
  for (const face of result.faces) drawFace(context, face, scheme, shown, visible);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  if (!blob) throw new Error("The picture is too large for a PNG in this browser.");
  return blob;
}

function drawFace(context, face, scheme, shown, visible) {
  const [x1, y1, x2, y2] = face.box.map((v) => v + 0.5);
  const radius = Math.max(1, Math.max(x2 - x1, y2 - y1) * 0.009);
  const at = face.points.map(([x, y]) => [x + 0.5, y + 0.5]);
  context.lineWidth = Math.max(1, radius * 0.6);
  if (shown.box) {
    context.strokeStyle = "rgb(255 255 255 / .6)";
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
  }
  if (shown.edges) {
    context.strokeStyle = "rgb(255 255 255 / .6)";
    context.beginPath();
    for (const [i, j] of scheme.edges) {
      if (!visible[i] || !visible[j]) continue;
      context.moveTo(...at[i]);
      context.lineTo(...at[j]);
    }
    context.stroke();
  }
  if (!shown.points) return;
  at.forEach(([x, y], i) => {
    if (!visible[i]) return;
    for (const [r, colour] of [[radius * 1.4, "#10141d"], [radius, confidenceColour(face.confidence[i])]]) {
      disc(context, x, y, r, colour);
    }
    if (face.confidence[i] < DOUBT) disc(context, x, y, radius * 0.5, "#10141d");
  });
}

function disc(context, x, y, radius, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}
