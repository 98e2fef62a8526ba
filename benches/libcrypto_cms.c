// What OpenSSL's library makes of the same work, called in one process: seal and sign, open and verify.
// libcrypto_cms FILE CERT KEY ROUNDS PARTS: prints seconds for one "seal" and one "open", the best of the rounds; FILE's
// octets are taken PARTS times in each round.
#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what) {
    fprintf(stderr, "%s failed\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

int main(int argc, char **argv) {
    if (argc != 6) fail("the command line");
    FILE *file = fopen(argv[1], "rb");
    if (!file) fail("opening the file");
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    rewind(file);
    char *text = malloc((size_t)length);
    if (!text || fread(text, 1, (size_t)length, file) != (size_t)length) fail("reading the file");
    BIO *in = BIO_new_file(argv[2], "r");
    X509 *cert = PEM_read_bio_X509(in, NULL, NULL, NULL);
    BIO *key_in = BIO_new_file(argv[3], "r");
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_in, NULL, NULL, NULL);
    if (!cert || !key) fail("reading certificate and key");
    STACK_OF(X509) *to = sk_X509_new_null();
    sk_X509_push(to, cert);
    int rounds = atoi(argv[4]), parts = atoi(argv[5]);
    double best[2] = {1e9, 1e9};
    for (int round = 0; round < rounds; round++) {
        BIO *sealed = NULL;
        double begun = now();
        for (int part = 0; part < parts; part++) {
            BIO *content = BIO_new_mem_buf(text, (int)length);
            CMS_ContentInfo *signature = CMS_sign(cert, key, NULL, content, CMS_BINARY | CMS_NOSMIMECAP);
            BIO *opaque = BIO_new(BIO_s_mem());
            if (!signature || !i2d_CMS_bio(opaque, signature)) fail("signing");
            CMS_ContentInfo *envelope = CMS_encrypt(to, opaque, EVP_aes_256_cbc(), CMS_BINARY);
            BIO_free(sealed);
            sealed = BIO_new(BIO_s_mem());
            if (!envelope || !i2d_CMS_bio(sealed, envelope)) fail("sealing");
            CMS_ContentInfo_free(signature);
            CMS_ContentInfo_free(envelope);
            BIO_free(opaque);
            BIO_free(content);
        }
        double taken = (now() - begun) / parts;
        if (taken < best[0]) best[0] = taken;
        char *octets;
        long size = BIO_get_mem_data(sealed, &octets);
        begun = now();
        for (int part = 0; part < parts; part++) {
            BIO *from = BIO_new_mem_buf(octets, (int)size);
            CMS_ContentInfo *envelope = d2i_CMS_bio(from, NULL);
            BIO *opaque = BIO_new(BIO_s_mem());
            if (!envelope || !CMS_decrypt(envelope, key, cert, NULL, opaque, CMS_BINARY)) fail("opening");
            CMS_ContentInfo *signature = d2i_CMS_bio(opaque, NULL);
            BIO *plain = BIO_new(BIO_s_mem());
            if (!signature || !CMS_verify(signature, to, NULL, NULL, plain, CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY))
                fail("verifying");
            if (BIO_get_mem_data(plain, NULL) != length) fail("comparing");
            CMS_ContentInfo_free(signature);
            CMS_ContentInfo_free(envelope);
            BIO_free(plain);
            BIO_free(opaque);
            BIO_free(from);
        }
        taken = (now() - begun) / parts;
        if (taken < best[1]) best[1] = taken;
        BIO_free(sealed);
    }
    printf("%.9f %.9f\n", best[0], best[1]);
    return 0;
}
