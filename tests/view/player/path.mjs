// Print a camera path: for the test that reads it with Python.
import { about, lensOf } from "../../../fourd/view/player/camera.js";
import { cameraPath } from "../../../fourd/view/player/path.js";

const lens = lensOf([400, 0, 161, 0, 410, 117, 0, 0, 1], [240, 320]);
const key = (p, angle, time_s) => ({ pose: { p, q: about([0, 1, 0], angle) }, lens, time_s });
process.stdout.write(JSON.stringify(cameraPath([key([0, 0, 0], 0, 0.5), key([1, 2, 3], 0.3, 0.5), key([2, 2, 3], 0.6, 1.5)], 8)));
