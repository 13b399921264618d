/** The part of @20minutes/s3rver 4 that `object-server.ts` uses; the package has no types. */
declare module '@20minutes/s3rver' {
  export interface Context {
    method: string;
    headers: Record<string, string | undefined>;
    query: Record<string, string | undefined>;
    /** Of the path, once the router has read it. */
    params: { bucket: string };
    status: number;
    type: string;
    body: string;
    set(headers: Record<string, string>): void;
  }
  export type Next = () => Promise<void>;
  export default class S3rver {
    constructor(options: {
      port: number;
      address: string;
      directory: string;
      silent: boolean;
      resetOnClose: boolean;
    });
    readonly middleware: ((context: Context, next: Next) => Promise<void>)[];
    run(): Promise<{ port: number }>;
    close(): Promise<void>;
  }
}

declare module '@20minutes/s3rver/lib/models/account.js' {
  interface Account {
    createKeyPair(accessKey: string, secretKey: string): void;
    revokeAccessKey(accessKey: string): void;
  }
  const AWSAccount: { readonly DUMMY_ACCOUNT: Account };
  export default AWSAccount;
}
