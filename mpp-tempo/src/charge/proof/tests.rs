//! Tests of proofs, against digests and signatures that deployed wallets made.

use alloy::primitives::{address, b256, hex};

use super::*;
use crate::chain::signature::{Ecdsa, Key};

#[test]
fn a_proof_is_signed_as_deployed_wallets_do() {
    let account = address!("1a642f0E3c3aF545E7AcBD38b07251B3990914F1");
    let made = proof_digest(42431, account, "kM9xPqWvT2nJrHsY4aDfEb", "api.example.com");
    let v3 = b256!("3860a700a55e02ad3c2dc047e92489feceecbdb0a801d948e1d9f0b61ea9bc3f");
    assert_eq!(made, v3);
    // What signs versions 1 and 2 for the same challenge signs something else.
    let v1 = b256!("c5c155e34a264f8a8ff363f3e989f402356697303a4e1102d512c25b1b2afb11");
    let v2 = b256!("1b38d25baec744e627498efd0344b919a4f867b158029d69cc586b7626d0e4f6");
    let key = Key::new([1; 32]).unwrap();
    assert_eq!(key.sign(made).recover(made), Ok(account));
    for old in [v1, v2] {
        assert_ne!(key.sign(old).recover(made), Ok(account));
    }
}

#[test]
fn s3_every_part_of_a_proof_is_bound() {
    let account = address!("1a642f0E3c3aF545E7AcBD38b07251B3990914F1");
    let made = proof_digest(42431, account, "challenge", "realm");
    let others = [
        proof_digest(4217, account, "challenge", "realm"),
        proof_digest(42431, Address::repeat_byte(1), "challenge", "realm"),
        proof_digest(42431, account, "challengE", "realm"),
        proof_digest(42431, account, "challenge", "real"),
        proof_digest(42431, account, "challengere", "alm"),
        proof_digest(42431, account, "realm", "challenge"),
    ];
    for other in others {
        assert_ne!(other, made);
    }
}

#[test]
fn proofs_of_many_realms_and_chains_are_those_of_deployed_wallets() {
    for (chain_id, challenge, realm, secret, digest, signature) in CASES {
        let key = Key::new(secret).unwrap();
        let made = proof_digest(chain_id, key.address(), challenge, realm);
        assert_eq!(made, digest, "{realm}");
        let signature = Ecdsa::parse(&signature).unwrap();
        assert_eq!(key.sign(made), signature, "{realm}");
        assert_eq!(signature.recover(made), Ok(key.address()), "{realm}");
    }
}

/// Chain, challenge, realm, secret key, digest, signature.
type Case = (u64, &'static str, &'static str, [u8; 32], B256, [u8; 65]);

const CASES: [Case; 18] = [
    (
        1,
        "dDBk8mKb0d-xPNJ1QV7bfsejHuoYbKwctBoR4DH7xeY",
        "localhost",
        hex!("5df734b83ce9d8e18c4c82c164fc0c4da2249e5eac350cf60c0c64fad315cb70"),
        b256!("c5a0479c45446c580dfa2b77333b58c755d0d64b1c646258cf38c3abb1d0d199"),
        hex!(
            "980f4797d14e4f6e484c015f3f15e76bb3026d96bfaa74fd5ba1728824905b5e6644cb0bdb3ebe7a2aa4dfe0724968fe"
            "867b223fdb742a4dafce0f60e931015e1c"
        ),
    ),
    (
        4217,
        "BNrO8c6eNUrSKDsn1jauJSTXoZpeivAUNGwvMFq5EIc",
        "api.example.com",
        hex!("2920b4c334864d2302e2a2ba1b801ca3c1516d53810da9d510d312f6df90a818"),
        b256!("5f4b9d536c40c5948df9b470ee98df442ca4b2ccf1c6c41aadee9d50359b314d"),
        hex!(
            "d44a32768b052c740666c5764f0378cfb5b586deb9aec25ab8a6c3c54f6e373551bdbf10c8d964382f92d23b002ec0f6"
            "78fa46d91efad152efedbc6e18b4c4271c"
        ),
    ),
    (
        31337,
        "UyQke_0AD7lKPU7rVVjJLiLDRcEGqQFCFDBo1gSWXgU",
        "Example Realm",
        hex!("8a1c60141b31334f95cf0c5db3047ae0b7ac4cd38c5206aa7376faa4b96ee047"),
        b256!("043baae8b80d558c21d15ad3577d0b7b75d4d381cdc60e3945413368b127f4f1"),
        hex!(
            "549a026402c24a4c02b219ffd53b6d3473db10fcd598e0b2b22a95f882f235b94cb4eb48c2c28778c997a3b9cc085e4b"
            "a6b9b119bca531c0d8c893eb2a15ceba1c"
        ),
    ),
    (
        2135346892,
        "HAei0y4-k6qtFADjqf87kSpbEit4WnLvd2PiVJOfWMU",
        "api.tempo.xyz",
        hex!("5f8d51ab098459fb90fcd7de2c02763b66ed11682a99bdd8f1a8b0552cf3c4fd"),
        b256!("c5fb018167e4a5e90d94b6d09beff057b270961427513f6f70990a69d91d0fd1"),
        hex!(
            "2b533c07c2bddd15c579fde92f8227a46b484e1785170eef7884260b500ffa965d39bbb5ae1f876d1b07cc4979df9b7a"
            "d1fb78424e3b220ede1395d15b386f881c"
        ),
    ),
    (
        860146459,
        "I5AVd2ta6JN-vvFYZgAQSPHINKh6w1rxIt6TNoH67wQ",
        "contact Payment support",
        hex!("05c00be3ded5ba6e239d73c31dd746dcd221e6fc27f85c6afd590899d0c28846"),
        b256!("e3efae90af147b7d015d802a49a1cdb21cb8008edb8b97ead0f8d78b2e118232"),
        hex!(
            "3f337b2ad0f6f721bcbad37cdca4a05b1311e1125c561fbd2b380db514b8bbd671cbc46254c62c8bedbd09cb80d8b4b5"
            "4fade271a634b581981c9c1f023104e71c"
        ),
    ),
    (
        42431,
        "KE2KRY36HjChV7isZa7HLatATc1tchU7itqCCioH2rY",
        "payments.example.org",
        hex!("c52b3f0ef39891fbcc02d62479f1020cd0abc719749aaf89798adfcaee281c37"),
        b256!("3d4bea188ccbb70f1815452980610d70e9abfd5f114b9edebdef3b9280da9963"),
        hex!(
            "008927906801a8be5b6e399f21da9f105f2a286ef6fa49f38cb7c87b9490bf2741021a52c7d7a92fb4f9e8d00bfbd214"
            "45117a93bb2b39a70e16dd8f41db56641c"
        ),
    ),
    (
        42431,
        "K8tW2gOsfUA9pH2UcVkL_-8o1MJUCnhrdJIh1gurP6k",
        "xn--caf-dma.example",
        hex!("9002788503a22ff244583a9b7b8fb5eec3b2a943e736d8acc60dac94c1a2f92f"),
        b256!("cce2140028b793084dd3704bcf604b9d8d3b470c5baf4e1e336a1ed470689dbe"),
        hex!(
            "44e0ed0231025634561b90aedfd1a137eed6f08fac7d2f1753f796e84578d9fe6fe37a0dc5cdc9c25eb69a081146d5fe"
            "439939a585f3c5bede5f338821bd11cb1c"
        ),
    ),
    (
        1,
        "Qt9k5YwAe8NFyGIG3B6YIibDecJG42131bUhC8LZT6A",
        "127.0.0.1",
        hex!("313f70cc2040cd99c36698dd824772c4e24867b8b8a8395fc81ad9b7f8b42224"),
        b256!("81a5a5de89a82b161d4575544da2dfbfa102e2a52a7a26a85a416b7cd2ac210f"),
        hex!(
            "ef59aac34892d5f810ee7603645ffb0bdd4e1681a24a2da33b03e7a09f02748b4458b573dc4b24e2c1d1c8a3ff52077a"
            "d313e5f37625d8d1f9d3aec71c1bb00b1b"
        ),
    ),
    (
        1,
        "D5FKjw5Jwj-_eVYEc3fnlrc59cA9UKeFcf7zS_E0eSY",
        "a",
        hex!("4fa055102f9162364cc8126145b83a04c98fbc87c69ba85a85f0cc86e37ac7a3"),
        b256!("e1615a7593dceca8740c32404dd53c2cf885cbd0ed88a8fad96d0ac80d38d62c"),
        hex!(
            "fb807813807fb24509d93796fae0eca36559f3ca7fc49b83c7b26360234bef872d25a5b9e7a91cf8d2c37385fb42a714"
            "d7056154b58f3489b16f0e2e6532d1e01c"
        ),
    ),
    (
        1,
        "Pd-_Udu6tM7PcXMnyRZnrizPuR_21lcHBwNb3RKmlJg",
        "api.example.com:8443",
        hex!("e0df25893df5010b898d44c432151f89037d51638321c1b9e4abc12ac9cd95b3"),
        b256!("552849b07eadd0096131d8c6b549ea80d4975337af127f02b6d0e85523ce4f54"),
        hex!(
            "f8696d5d362c881f048b1969d26a91c07843aaaca5f9d899d65cb24d787f4daf66f88d5ff6e0ed5dec48d52b4f0a3756"
            "d1d1e3c25f0c88a3c59e4d46e736fc0e1c"
        ),
    ),
    (
        1867456542,
        "1nF2VU3sT4Ujf4Q0xv1fIR3fSCeijdS_01MWCaJaxr0",
        "x 9596",
        hex!("93acf2d5739e04153922e853a6534e9c26cb92e1d56842c3a26145a969c36680"),
        b256!("b601a95c9ecb0904464b8aa6398c7cf0eaed334e2144fe9d8dc0aba6d0c6141f"),
        hex!(
            "4011fd008004d1a6b6b258273a6c0b59137e77610635de937220415f9810b0302412d3cdfcb0991f47a5fd67dac404e1"
            "d4fb4ddb37794d3de70c422b1881b8df1b"
        ),
    ),
    (
        31337,
        "InJOlHvI2cztAGdgj-Pyxj__UIlP2gUF--nS9rbzSlY",
        "order",
        hex!("e9d2fe41faa8d3e221e4442089eb00e7194d630741e3cca9a51c72ac22ff1654"),
        b256!("cf1f1b948862bd62e94c210191a496ca37ad4adc19e9b16f1714d5ba25cfa6e9"),
        hex!(
            "a38cc7e5746f9e4efcf6f73040f80192d5e8b038c204756a7e65e2e208f3bdae37cc9fed187e693e09e0a7d7a891b1c4"
            "6863f961df6662101b5efddacd260b9b1b"
        ),
    ),
    (
        141593329,
        "yW1jW8jIbWb_nfEFpq0VJyVJegpGpfNhhMdgo74GT_Q",
        "x",
        hex!("f04e4bc0b1917d3df79cd6a4fd2271cac313e3e1efa5fa5ba1b94af7b8c35f99"),
        b256!("28f676a26d3fb8dba04ffee70ea98b4fab535c47135906078e4bc55eaf5c9568"),
        hex!(
            "c45bb9de657027827d5a6dd37bf8bd73bec981f19f5c868f86fd94bd8cfa4d696b3532d3f8859c6b47cacf93b049b523"
            "5ec20252e115111520e9c36f84f38f9d1b"
        ),
    ),
    (
        1625702458,
        "B0vQRT3EbV7tqDo7EzD0udazhCJ_8WDWgCYMYKgJ4TE",
        "Payment for \"Premium\" service",
        hex!("6dc75f23d2957b32b9ef3d66020d368037f0fcecf2edc5da3972907178bb0b79"),
        b256!("9b5f2e41ae417b5724af4b9b93496ea50a5addfce345b1efb747595572b7f574"),
        hex!(
            "5210f7d8195f3b8cc5d749749f1898d18c7b6520da9a82c554a6a1e0304942e02af93e096b538db1454b2319283a7979"
            "384c147942b7cf187cb9346a34668d891b"
        ),
    ),
    (
        42431,
        "3ufH2IjK951mypC_9V1wIAcpr3mrg3k9E4Re7XCSm1E",
        "Zahlung für Größe",
        hex!("1db4bc35e05a0f4573109ca409ea21316a6c2b37320a60617d8a6183f951490a"),
        b256!("6037cb2be3284b982900bd2d1fe24a357fc6d08024865173fd17835c8d3d6282"),
        hex!(
            "8c4eb39dd219097fc04166e0560be7495bd79bac302d27edc704926e09973f227b470828bba53c54cc48da78d24d39b8"
            "490001ff8fe060bc77c3f3df53b0a2e91c"
        ),
    ),
    (
        42431,
        " leading 8159",
        "a, b; c=d",
        hex!("9052cfbe0ff897e4205e69d4a66af6b8f22e34a9d69372649657c4fe5ac228ac"),
        b256!("bb8d9c8d085b1ea6b05435fac886f9eeb61ed4122b1e9e53f0d2bcfb14528101"),
        hex!(
            "e8fa4c0e0ab5c68105753fe5aaa2fd31f1b62f4231dd1653af776ffcc22b5c281a2b09f33216dbdb08bcfdb16298e56e"
            "03ab6bcea8da32cad4e65f7604c3f31a1c"
        ),
    ),
    (
        4217,
        "/slash/",
        "Premium API access",
        hex!("36c0ddf2fa760e941a5cdd7d163b2918f37cea8cd9039e44ad8c779501bc8176"),
        b256!("e36e3e7745c7faf70863ecc01c57e327746c241b84651187070a334a07b7750d"),
        hex!(
            "6c32e285dac80de7c3a9078625c1babaac2763bb4b7a8db3ad40942a614db7e26f009302a428e49140d66652dca8a7ff"
            "06815ad1ec7998bd2be7411109aacf131c"
        ),
    ),
    (
        1583711725,
        "e30",
        "API access fee",
        hex!("53e96e4621a069b5ca15791ac01453cbf73dd386f3a3c33425913297c8d9f3e9"),
        b256!("bda9e9e13cc244b1c30678b84c33eaa4a65c5c59f604e05ed2f40ac60e062a68"),
        hex!(
            "05509ff1f2618c6fb57f00a52cf7398db9bd1cfdea808cfa89c25e8b438695d648667c7c6e073efdaa27a31b39f3f7ab"
            "003cb9094598c42df412151f8f51e2961c"
        ),
    ),
];
