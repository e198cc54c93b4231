import assert from "node:assert/strict";
import { test } from "node:test";

import { layoutFocus, layoutGrid } from "../../web/js/tiles.js";

const STAGES = [[1264, 632], [390, 700], [800, 800], [1900, 900], [360, 500], [300, 120], [2500, 300]];
const EPSILON = 0.01;

function assertInside({ x, y, width, height }, stageWidth, stageHeight) {
  assert.ok(x >= -EPSILON && y >= -EPSILON && width > 0 && height > 0, JSON.stringify({ x, y, width, height }));
  assert.ok(x + width <= stageWidth + EPSILON && y + height <= stageHeight + EPSILON);
}

function overlap(a, b) {
  return a.x + a.width - EPSILON > b.x && b.x + b.width - EPSILON > a.x
    && a.y + a.height - EPSILON > b.y && b.y + b.height - EPSILON > a.y;
}

function assertApart(rects) {
  rects.forEach((a, i) => rects.slice(i + 1).forEach((b) => assert.ok(!overlap(a, b))));
}

test("tiles of a grid are inside the stage, apart, of one size, and all are accounted for", () => {
  for (const [width, height] of STAGES) {
    for (let count = 1; count <= 60; count++) {
      const { rects, hidden } = layoutGrid(count, width, height);
      rects.forEach((rect) => assertInside(rect, width, height));
      assertApart(rects);
      assert.ok(rects.every((rect) => Math.abs(rect.width - rects[0].width) < EPSILON));
      // With some hidden, the last rectangle stands for them and for the one it displaced.
      assert.equal(hidden ? rects.length - 1 + hidden : rects.length, count);
    }
  }
});

test("the last row of a grid is in the middle", () => {
  const { rects } = layoutGrid(3, 1264, 632);
  assert.equal(rects.length, 3);
  assert.ok(rects[0].y === rects[1].y && rects[2].y > rects[0].y);
  assert.ok(Math.abs(rects[2].x + rects[2].width / 2 - 632) < EPSILON);
});

test("two people stand side by side on a screen and one above the other on a phone, filling it", () => {
  const screen = layoutGrid(2, 1264, 632).rects;
  assert.equal(screen[0].y, screen[1].y);
  const phone = layoutGrid(2, 390, 700, 8).rects;
  assert.equal(phone[0].x, phone[1].x);
  assert.ok(phone[0].width > 380 && phone[0].height > 330);
});

test("tiles keep shapes in which faces are seen", () => {
  for (const [width, height] of STAGES) {
    for (let count = 1; count <= 20; count++) {
      const [{ width: w, height: h }] = layoutGrid(count, width, height).rects;
      const ratio = w / h;
      assert.ok(ratio >= (width >= height ? 4 / 3 : 3 / 4) - EPSILON && ratio <= 16 / 9 + EPSILON);
    }
  }
});

test("nobody is shown too small to be seen; the rest is counted", () => {
  const { rects, hidden } = layoutGrid(60, 390, 500, 8);
  assert.ok(Math.min(rects[0].width, rects[0].height) >= 110);
  assert.ok(hidden > 0);
});

test("a stage without room shows nothing and does not fail", () => {
  assert.deepEqual(layoutGrid(0, 100, 100), { rects: [], hidden: 0 });
  assert.deepEqual(layoutGrid(3, 0, 100).rects, []);
  assert.deepEqual(layoutFocus(3, 0, 0).rects, []);
});

test("one large has most of the stage, the strip is beside or below it", () => {
  for (const [width, height] of STAGES) {
    for (let others = 0; others <= 30; others++) {
      const { main, rects, hidden } = layoutFocus(others, width, height);
      assertInside(main, width, height);
      rects.forEach((rect) => assertInside(rect, width, height));
      assertApart([main, ...rects]);
      assert.ok(main.width * main.height >= 0.5 * width * height);
      assert.equal(hidden ? rects.length - 1 + hidden : rects.length, others);
    }
  }
});

test("below a screen on a phone there is room for three", () => {
  assert.equal(layoutFocus(3, 374, 700, 8).rects.length, 3);
});
