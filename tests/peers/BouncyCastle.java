import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Key;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PKCS8EncodedKeySpec;
import javax.crypto.Cipher;
import javax.crypto.CipherInputStream;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.cms.GCMParameters;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateHolder;
import org.bouncycastle.cms.CMSAbsentContent;
import org.bouncycastle.cms.CMSAuthEnvelopedData;
import org.bouncycastle.cms.CMSAuthEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSCompressedData;
import org.bouncycastle.cms.CMSCompressedDataGenerator;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSException;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.KeyAgreeRecipientInformation;
import org.bouncycastle.cms.Recipient;
import org.bouncycastle.cms.RecipientInfoGenerator;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.RecipientOperator;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceKeyAgreeEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipient;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JceKeyTransAuthEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.ZlibCompressor;
import org.bouncycastle.cms.jcajce.ZlibExpanderProvider;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.InputAEADDecryptor;
import org.bouncycastle.operator.OutputAEADEncryptor;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.operator.jcajce.JcaAlgorithmParametersConverter;
import org.bouncycastle.util.Store;

/**
 * Does the steps of a file with Bouncy Castle's CMS, one a line, and answers each with a line: "ok", or what was thrown.
 * A step is parted by tabs: what to do, whose key, from which file, into which file, and what it takes besides.
 */
public class BouncyCastle {
    static final String BC = "BC";

    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            String[] step = line.split("\t", -1);
            try {
                Files.write(Path.of(step[3]), made(step, Files.readAllBytes(Path.of(step[2]))));
                System.out.println("ok");
            } catch (Exception | LinkageError fault) {
                StringBuilder said = new StringBuilder();
                for (Throwable cause = fault; cause != null; cause = cause.getCause()) {
                    said.append(cause.getClass().getSimpleName()).append(": ").append(cause.getMessage()).append("; ");
                }
                System.out.println(said.toString().replace('\n', ' '));
            }
        }
    }

    static byte[] made(String[] step, byte[] input) throws Exception {
        switch (step[0]) {
            case "sign":
                return sign(step[1], input, step[4], step[5].equals("detached"));
            case "verify":
                return verify(input, step[4].isEmpty() ? null : Files.readAllBytes(Path.of(step[4])));
            case "seal":
                return seal(input, certificate(step[1]), step[4], step[5], step[6]);
            case "open":
                return open(input, key(step[1]));
            case "compress":
                CMSProcessableByteArray plain = new CMSProcessableByteArray(input);
                return new CMSCompressedDataGenerator().generate(plain, new ZlibCompressor()).getEncoded();
            case "decompress":
                return new CMSCompressedData(input).getContent(new ZlibExpanderProvider());
            case "gather":
                CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
                generator.addCertificate(new JcaX509CertificateHolder(certificate(step[1])));
                return generator.generate(new CMSAbsentContent()).getEncoded();
            case "list":
                return new CMSSignedData(input).getCertificates().getMatches(null).iterator().next().getEncoded();
            default:
                throw new IllegalArgumentException(step[0]);
        }
    }

    static X509Certificate certificate(String who) throws Exception {
        try (InputStream file = Files.newInputStream(Path.of(who + ".der"))) {
            return (X509Certificate) CertificateFactory.getInstance("X.509", BC).generateCertificate(file);
        }
    }

    static PrivateKey key(String who) throws Exception {
        byte[] encoded = Files.readAllBytes(Path.of(who + ".p8"));
        String algorithm = PrivateKeyInfo.getInstance(encoded).getPrivateKeyAlgorithm().getAlgorithm().getId();
        return KeyFactory.getInstance(algorithm, BC).generatePrivate(new PKCS8EncodedKeySpec(encoded));
    }

    static byte[] sign(String who, byte[] content, String algorithm, boolean isDetached) throws Exception {
        X509Certificate certificate = certificate(who);
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        generator.addSignerInfoGenerator(
            new JcaSignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().setProvider(BC).build())
                .build(new JcaContentSignerBuilder(algorithm).setProvider(BC).build(key(who)), certificate));
        generator.addCertificate(new JcaX509CertificateHolder(certificate));
        return generator.generate(new CMSProcessableByteArray(content), !isDetached).getEncoded();
    }

    static byte[] verify(byte[] message, byte[] detached) throws Exception {
        CMSSignedData signed = detached == null
            ? new CMSSignedData(message)
            : new CMSSignedData(new CMSProcessableByteArray(detached), message);
        Store<X509CertificateHolder> certificates = signed.getCertificates();
        if (signed.getSignerInfos().size() == 0) {
            throw new CMSException("nobody signed");
        }
        for (SignerInformation signer : signed.getSignerInfos()) {
            X509CertificateHolder certificate =
                (X509CertificateHolder) certificates.getMatches(signer.getSID()).iterator().next();
            if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(certificate))) {
                throw new CMSException("the signature does not fit");
            }
        }
        return (byte[]) signed.getSignedContent().getContent();
    }

    static byte[] seal(byte[] plain, X509Certificate to, String cipher, String way, String detail) throws Exception {
        ASN1ObjectIdentifier algorithm = new ASN1ObjectIdentifier(cipher);
        JceCMSContentEncryptorBuilder encryptor = new JceCMSContentEncryptorBuilder(algorithm).setProvider(BC);
        CMSProcessableByteArray content = new CMSProcessableByteArray(plain);
        RecipientInfoGenerator recipient = recipient(to, way, detail);
        if (cipher.endsWith("6")) {
            CMSAuthEnvelopedDataGenerator generator = new CMSAuthEnvelopedDataGenerator();
            generator.addRecipientInfoGenerator(recipient);
            return generator.generate(content, (OutputAEADEncryptor) encryptor.build()).getEncoded();
        }
        CMSEnvelopedDataGenerator generator = new CMSEnvelopedDataGenerator();
        generator.addRecipientInfoGenerator(recipient);
        return generator.generate(content, encryptor.build()).getEncoded();
    }

    /** The way is "rsa", "oaep" with the name of a hash, or the identifier of an agreement with that of a wrap. */
    static RecipientInfoGenerator recipient(X509Certificate to, String way, String detail) throws Exception {
        if (way.equals("rsa")) {
            return new JceKeyTransRecipientInfoGenerator(to).setProvider(BC);
        }
        if (way.equals("oaep")) {
            OAEPParameterSpec oaep =
                new OAEPParameterSpec(detail, "MGF1", new MGF1ParameterSpec(detail), PSource.PSpecified.DEFAULT);
            AlgorithmIdentifier transport =
                new JcaAlgorithmParametersConverter().getAlgorithmIdentifier(PKCSObjectIdentifiers.id_RSAES_OAEP, oaep);
            return new JceKeyTransRecipientInfoGenerator(to, transport).setProvider(BC);
        }
        SubjectPublicKeyInfo info = SubjectPublicKeyInfo.getInstance(to.getPublicKey().getEncoded());
        KeyPairGenerator pairs = KeyPairGenerator.getInstance(to.getPublicKey().getAlgorithm(), BC);
        if (to.getPublicKey() instanceof java.security.interfaces.ECPublicKey) {
            pairs.initialize(((java.security.interfaces.ECPublicKey) to.getPublicKey()).getParams());
        }
        KeyPair own = pairs.generateKeyPair();
        return new JceKeyAgreeRecipientInfoGenerator(
            new ASN1ObjectIdentifier(way), own.getPrivate(), own.getPublic(), new ASN1ObjectIdentifier(detail))
            .addRecipient(to).setProvider(BC);
    }

    static byte[] open(byte[] message, PrivateKey key) throws Exception {
        boolean isAuthenticated = org.bouncycastle.asn1.cms.ContentInfo.getInstance(message).getContentType()
            .equals(org.bouncycastle.asn1.cms.CMSObjectIdentifiers.authEnvelopedData);
        RecipientInformation info = isAuthenticated
            ? new CMSAuthEnvelopedData(message).getRecipientInfos().iterator().next()
            : new CMSEnvelopedData(message).getRecipientInfos().iterator().next();
        return info.getContent(opener(key, info instanceof KeyAgreeRecipientInformation, isAuthenticated));
    }

    static Recipient opener(PrivateKey key, boolean isAgreement, boolean isAuthenticated) {
        if (isAgreement) {
            return isAuthenticated
                ? new AgreedAndAuthenticated(key).setProvider(BC)
                : new JceKeyAgreeEnvelopedRecipient(key).setProvider(BC);
        }
        return isAuthenticated
            ? new JceKeyTransAuthEnvelopedRecipient(key).setProvider(BC)
            : new JceKeyTransEnvelopedRecipient(key).setProvider(BC);
    }

    /** This release agrees upon keys and opens authenticated content, and has no class that does both. */
    static class AgreedAndAuthenticated extends JceKeyAgreeRecipient {
        AgreedAndAuthenticated(PrivateKey key) {
            super(key);
        }

        @Override
        public RecipientOperator getRecipientOperator(
            AlgorithmIdentifier agreement, AlgorithmIdentifier content, SubjectPublicKeyInfo sender,
            ASN1OctetString material, byte[] encrypted) throws CMSException {
            Key contentKey = extractSecretKey(agreement, content, sender, material, encrypted);
            GCMParameters parameters = GCMParameters.getInstance(content.getParameters());
            Cipher cipher;
            try {
                cipher = Cipher.getInstance(content.getAlgorithm().getId(), BC);
                cipher.init(Cipher.DECRYPT_MODE, contentKey,
                    new GCMParameterSpec(parameters.getIcvLen() * 8, parameters.getNonce()));
            } catch (java.security.GeneralSecurityException fault) {
                throw new CMSException("the content key does not fit", fault);
            }
            return new RecipientOperator(new InputAEADDecryptor() {
                @Override
                public AlgorithmIdentifier getAlgorithmIdentifier() {
                    return content;
                }

                @Override
                public InputStream getInputStream(InputStream sealed) {
                    return new CipherInputStream(sealed, cipher);
                }

                @Override
                public OutputStream getAADStream() {
                    return new OutputStream() {
                        @Override
                        public void write(int octet) {
                            cipher.updateAAD(new byte[] {(byte) octet});
                        }
                    };
                }

                @Override
                public byte[] getMAC() {
                    // Stands behind what is sealed, where the cipher checks it.
                    return null;
                }
            });
        }
    }
}
