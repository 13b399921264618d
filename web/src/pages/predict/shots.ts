/** An image that is asked about. */
export interface Shot {
  readonly name: string;
  /** Its bytes, as they stand, behind `data:`. */
  readonly url: string;
  /** Its true class, where it is known. */
  readonly className?: string;
}

/** The bytes alone, as the API takes them. */
export const base64Of = ({ url }: Shot): string => url.slice(url.indexOf(',') + 1);

export const readShot = (file: File): Promise<Shot> =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve({ name: file.name, url: String(reader.result) });
    reader.onerror = () => reject(new Error(`${file.name} could not be read: ${reader.error?.message}`));
    reader.readAsDataURL(file);
  });
