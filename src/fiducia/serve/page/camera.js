// The camera: one frame after another, each asked for when the one before is answered.

export class Camera {
  constructor() {
    this.stream = null;
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.playsInline = true;
    this.canvas = document.createElement("canvas");
  }

  get on() {
    return this.stream !== null;
  }

  async start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("The browser gives no camera to this page. It needs https, or the address localhost.");
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        video: { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: "user" },
      });
    } catch (error) {
      const why = { NotAllowedError: "The camera was not allowed.", NotFoundError: "There is no camera." };
      throw new Error(why[error.name] || `The camera does not start: ${error.message}`);
    }
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  // The present frame as a JPEG file.
  async frame(quality = 0.9) {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width) throw new Error("The camera gives no picture.");
    [this.canvas.width, this.canvas.height] = [width, height];
    this.canvas.getContext("2d").drawImage(this.video, 0, 0);
    const blob = await new Promise((done) => this.canvas.toBlob(done, "image/jpeg", quality));
    return { blob, width, height };
  }
}
