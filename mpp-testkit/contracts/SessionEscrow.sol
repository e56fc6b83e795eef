// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

interface Token {
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// The escrow of sessions v1, written from its interface. Tokens are pulled with an allowance that the payer gives.
contract SessionEscrow {
    /// In the order in which it is answered. The first three share slot 0 of a channel.
    struct Channel {
        bool finalized;
        uint64 closeRequestedAt;
        address payer;
        address payee;
        address token;
        address authorizedSigner;
        uint128 deposit;
        uint128 settled;
    }

    event ChannelOpened(
        bytes32 indexed channelId,
        address indexed payer,
        address indexed payee,
        address token,
        address authorizedSigner,
        bytes32 salt,
        uint256 deposit
    );
    event Settled(
        bytes32 indexed channelId,
        address indexed payer,
        address indexed payee,
        uint256 cumulativeAmount,
        uint256 deltaPaid,
        uint256 newSettled
    );
    event TopUp(
        bytes32 indexed channelId,
        address indexed payer,
        address indexed payee,
        uint256 additionalDeposit,
        uint256 newDeposit
    );
    event CloseRequested(
        bytes32 indexed channelId, address indexed payer, address indexed payee, uint256 closeGraceEnd
    );
    event ChannelClosed(
        bytes32 indexed channelId,
        address indexed payer,
        address indexed payee,
        uint256 settledToPayee,
        uint256 refundedToPayer
    );
    event CloseRequestCancelled(bytes32 indexed channelId, address indexed payer, address indexed payee);
    event ChannelExpired(bytes32 indexed channelId, address indexed payer, address indexed payee);

    error AmountExceedsDeposit();
    error AmountNotIncreasing();
    error ChannelAlreadyExists();
    error ChannelFinalized();
    error ChannelNotFound();
    error CloseNotReady();
    error DepositOverflow();
    error InvalidPayee();
    error InvalidSignature();
    error NotPayee();
    error NotPayer();
    error TransferFailed();

    uint64 public constant CLOSE_GRACE_PERIOD = 900;
    bytes32 public constant VOUCHER_TYPEHASH = keccak256("Voucher(bytes32 channelId,uint128 cumulativeAmount)");

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    string private constant NAME = "Tempo Stream Channel";
    string private constant VERSION = "1";
    /// The highest s of a signature that has no twin.
    uint256 private constant LOW_S = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// Slot 0. No payer, no channel; one that has ended stays, and stays ended.
    mapping(bytes32 channelId => Channel) public channels;

    function open(address payee, address token, uint128 deposit, bytes32 salt, address authorizedSigner)
        external
        returns (bytes32 channelId)
    {
        if (payee == address(0)) revert InvalidPayee();
        channelId = computeChannelId(msg.sender, payee, token, salt, authorizedSigner);
        if (channels[channelId].payer != address(0)) revert ChannelAlreadyExists();
        channels[channelId] = Channel(false, 0, msg.sender, payee, token, authorizedSigner, deposit, 0);
        _pull(token, deposit);
        emit ChannelOpened(channelId, msg.sender, payee, token, authorizedSigner, salt, deposit);
    }

    function settle(bytes32 channelId, uint128 cumulativeAmount, bytes calldata signature) external {
        Channel storage c = _ofPayee(channelId);
        if (cumulativeAmount > c.deposit) revert AmountExceedsDeposit();
        if (cumulativeAmount <= c.settled) revert AmountNotIncreasing();
        uint128 delta = _settle(c, channelId, cumulativeAmount, signature);
        emit Settled(channelId, c.payer, c.payee, cumulativeAmount, delta, cumulativeAmount);
    }

    function topUp(bytes32 channelId, uint256 additionalDeposit) external {
        Channel storage c = _ofPayer(channelId);
        if (additionalDeposit > type(uint128).max - c.deposit) revert DepositOverflow();
        if (additionalDeposit != 0) {
            c.deposit += uint128(additionalDeposit);
            _pull(c.token, additionalDeposit);
        }
        if (c.closeRequestedAt != 0) {
            c.closeRequestedAt = 0;
            emit CloseRequestCancelled(channelId, c.payer, c.payee);
        }
        emit TopUp(channelId, c.payer, c.payee, additionalDeposit, c.deposit);
    }

    function requestClose(bytes32 channelId) external {
        Channel storage c = _ofPayer(channelId);
        if (c.closeRequestedAt != 0) return;
        c.closeRequestedAt = uint64(block.timestamp);
        emit CloseRequested(channelId, c.payer, c.payee, block.timestamp + CLOSE_GRACE_PERIOD);
    }

    /// Takes all of a voucher: there is no saying how much of it. One that takes nothing new is not looked at.
    function close(bytes32 channelId, uint128 cumulativeAmount, bytes calldata signature) external {
        Channel storage c = _ofPayee(channelId);
        if (cumulativeAmount > c.settled) {
            if (cumulativeAmount > c.deposit) revert AmountExceedsDeposit();
            _settle(c, channelId, cumulativeAmount, signature);
        }
        _end(c, channelId);
    }

    function withdraw(bytes32 channelId) external {
        Channel storage c = _ofPayer(channelId);
        bool ready = c.closeRequestedAt != 0 && block.timestamp >= c.closeRequestedAt + CLOSE_GRACE_PERIOD;
        if (!ready) revert CloseNotReady();
        emit ChannelExpired(channelId, c.payer, c.payee);
        _end(c, channelId);
    }

    function getChannel(bytes32 channelId) external view returns (Channel memory) {
        return channels[channelId];
    }

    function getChannelsBatch(bytes32[] calldata channelIds) external view returns (Channel[] memory channelStates) {
        channelStates = new Channel[](channelIds.length);
        for (uint256 i = 0; i < channelIds.length; ++i) {
            channelStates[i] = channels[channelIds[i]];
        }
    }

    function computeChannelId(address payer, address payee, address token, bytes32 salt, address authorizedSigner)
        public
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(payer, payee, token, salt, authorizedSigner, address(this), block.chainid));
    }

    function getVoucherDigest(bytes32 channelId, uint128 cumulativeAmount) public view returns (bytes32) {
        bytes32 voucher = keccak256(abi.encode(VOUCHER_TYPEHASH, channelId, cumulativeAmount));
        return keccak256(abi.encodePacked(hex"1901", domainSeparator(), voucher));
    }

    function domainSeparator() public view returns (bytes32) {
        return keccak256(
            abi.encode(
                DOMAIN_TYPEHASH, keccak256(bytes(NAME)), keccak256(bytes(VERSION)), block.chainid, address(this)
            )
        );
    }

    /// EIP-5267.
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        )
    {
        return (0x0f, NAME, VERSION, block.chainid, address(this), 0, new uint256[](0));
    }

    function _ofPayer(bytes32 channelId) private view returns (Channel storage c) {
        c = channels[channelId];
        if (c.payer == address(0)) revert ChannelNotFound();
        if (msg.sender != c.payer) revert NotPayer();
        if (c.finalized) revert ChannelFinalized();
    }

    function _ofPayee(bytes32 channelId) private view returns (Channel storage c) {
        c = channels[channelId];
        if (c.payer == address(0)) revert ChannelNotFound();
        if (msg.sender != c.payee) revert NotPayee();
        if (c.finalized) revert ChannelFinalized();
    }

    function _settle(Channel storage c, bytes32 channelId, uint128 cumulativeAmount, bytes calldata signature)
        private
        returns (uint128 delta)
    {
        address expected = c.authorizedSigner == address(0) ? c.payer : c.authorizedSigner;
        if (_signer(getVoucherDigest(channelId, cumulativeAmount), signature) != expected) revert InvalidSignature();
        delta = cumulativeAmount - c.settled;
        c.settled = cumulativeAmount;
        _push(c.token, c.payee, delta);
    }

    function _end(Channel storage c, bytes32 channelId) private {
        uint128 refund = c.deposit - c.settled;
        c.finalized = true;
        if (refund != 0) _push(c.token, c.payer, refund);
        emit ChannelClosed(channelId, c.payer, c.payee, c.settled, refund);
    }

    function _pull(address token, uint256 amount) private {
        if (!Token(token).transferFrom(msg.sender, address(this), amount)) revert TransferFailed();
    }

    function _push(address token, address to, uint256 amount) private {
        if (!Token(token).transfer(to, amount)) revert TransferFailed();
    }

    function _signer(bytes32 digest, bytes calldata signature) private pure returns (address signer) {
        if (signature.length != 65) revert InvalidSignature();
        bytes32 r = bytes32(signature[0:32]);
        bytes32 s = bytes32(signature[32:64]);
        if (uint256(s) > LOW_S) revert InvalidSignature();
        signer = ecrecover(digest, uint8(signature[64]), r, s);
        if (signer == address(0)) revert InvalidSignature();
    }
}
