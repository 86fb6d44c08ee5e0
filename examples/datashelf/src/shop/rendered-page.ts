export interface RenderedPage {
  body: Buffer;
  contentType: string;
}
