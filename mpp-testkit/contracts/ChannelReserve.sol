// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

interface Token {
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

interface Signatures {
    function recover(bytes32 hash, bytes calldata signature) external view returns (address signer);
}

/// The channel reserve of TIP-1034, for a chain that has none: a contract in the precompile's place.
///
/// A contract does not know the transaction that it runs in, and moves nobody's tokens unasked. So whoever hands a
/// transaction to the node first writes its hash into `context`, and an allowance into the token.
contract ChannelReserve {
    struct ChannelDescriptor {
        address payer;
        address payee;
        address operator;
        address token;
        bytes32 salt;
        address authorizedSigner;
        bytes32 expiringNonceHash;
    }

    struct ChannelState {
        uint96 settled;
        uint96 deposit;
        uint32 closeRequestedAt;
    }

    struct Channel {
        ChannelDescriptor descriptor;
        ChannelState state;
    }

    event ChannelOpened(
        bytes32 indexed channelId,
        address indexed payer,
        address indexed payee,
        address operator,
        address token,
        address authorizedSigner,
        bytes32 salt,
        bytes32 expiringNonceHash,
        uint96 deposit
    );
    event Settled(
        bytes32 indexed channelId,
        address indexed payer,
        address indexed payee,
        uint96 cumulativeAmount,
        uint96 deltaPaid,
        uint96 newSettled
    );
    event TopUp(
        bytes32 indexed channelId,
        address indexed payer,
        address indexed payee,
        uint96 additionalDeposit,
        uint96 newDeposit
    );
    event CloseRequested(
        bytes32 indexed channelId, address indexed payer, address indexed payee, uint256 closeGraceEnd
    );
    event ChannelClosed(
        bytes32 indexed channelId,
        address indexed payer,
        address indexed payee,
        uint96 settledToPayee,
        uint96 refundedToPayer
    );
    event CloseRequestCancelled(bytes32 indexed channelId, address indexed payer, address indexed payee);

    error ChannelAlreadyExists();
    error ChannelNotFound();
    error NotPayer();
    error NotPayeeOrOperator();
    error InvalidPayee();
    error ZeroDeposit();
    error ExpiringNonceHashNotSet();
    error InvalidSignature();
    error AmountExceedsDeposit();
    error AmountNotIncreasing();
    error CaptureAmountInvalid();
    error CloseNotReady();
    error DepositOverflow();
    /// The tokens' own word for an address where none can be.
    error InvalidToken();

    uint64 public constant CLOSE_GRACE_PERIOD = 900;
    bytes32 public constant VOUCHER_TYPEHASH = keccak256("Voucher(bytes32 channelId,uint96 cumulativeAmount)");

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    Signatures private constant SIGNATURES = Signatures(0x5165300000000000000000000000000000000000);
    bytes12 private constant TOKENS = 0x20c000000000000000000000;

    /// Slot 0: what is stored of a channel. No deposit, no channel.
    mapping(bytes32 channelId => ChannelState) private states;

    /// Slot 1, written from outside: the hash of the transaction that is about to open, by the hash of who opens what.
    mapping(bytes32 what => bytes32) private context;

    function open(
        address payee,
        address operator,
        address token,
        uint96 deposit,
        bytes32 salt,
        address authorizedSigner
    ) external returns (bytes32 channelId) {
        if (payee == address(0) || bytes12(bytes20(payee)) == TOKENS) revert InvalidPayee();
        if (bytes12(bytes20(token)) != TOKENS) revert InvalidToken();
        if (deposit == 0) revert ZeroDeposit();
        bytes32 nonceHash = _enclosing(
            keccak256(abi.encode(msg.sender, payee, operator, token, deposit, salt, authorizedSigner))
        );
        ChannelDescriptor memory d =
            ChannelDescriptor(msg.sender, payee, operator, token, salt, authorizedSigner, nonceHash);
        channelId = _id(d);
        if (states[channelId].deposit != 0 || _load(_opened(channelId)) != 0) revert ChannelAlreadyExists();
        Token(token).transferFrom(msg.sender, address(this), deposit);
        states[channelId].deposit = deposit;
        _store(_opened(channelId), bytes32(uint256(1)));
        emit ChannelOpened(
            channelId, msg.sender, payee, operator, token, authorizedSigner, salt, nonceHash, deposit
        );
    }

    function settle(ChannelDescriptor calldata d, uint96 cumulativeAmount, bytes calldata signature) external {
        (bytes32 id, ChannelState memory s) = _existing(d);
        _onlyPayeeSide(d);
        if (cumulativeAmount > s.deposit) revert AmountExceedsDeposit();
        if (cumulativeAmount <= s.settled) revert AmountNotIncreasing();
        _check(d, id, cumulativeAmount, signature);
        uint96 delta = cumulativeAmount - s.settled;
        states[id].settled = cumulativeAmount;
        Token(d.token).transfer(d.payee, delta);
        emit Settled(id, d.payer, d.payee, cumulativeAmount, delta, cumulativeAmount);
    }

    function topUp(ChannelDescriptor calldata d, uint96 additionalDeposit) external {
        (bytes32 id, ChannelState memory s) = _existing(d);
        if (msg.sender != d.payer) revert NotPayer();
        bool requested = s.closeRequestedAt != 0;
        if (additionalDeposit == 0 && !requested) return;
        if (additionalDeposit != 0) {
            if (additionalDeposit > type(uint96).max - s.deposit) revert DepositOverflow();
            s.deposit += additionalDeposit;
            Token(d.token).transferFrom(msg.sender, address(this), additionalDeposit);
        }
        s.closeRequestedAt = 0;
        states[id] = s;
        if (requested) emit CloseRequestCancelled(id, d.payer, d.payee);
        emit TopUp(id, d.payer, d.payee, additionalDeposit, s.deposit);
    }

    function requestClose(ChannelDescriptor calldata d) external {
        (bytes32 id, ChannelState memory s) = _existing(d);
        if (msg.sender != d.payer) revert NotPayer();
        if (s.closeRequestedAt != 0) return;
        states[id].closeRequestedAt = uint32(block.timestamp);
        emit CloseRequested(id, d.payer, d.payee, block.timestamp + CLOSE_GRACE_PERIOD);
    }

    function close(
        ChannelDescriptor calldata d,
        uint96 cumulativeAmount,
        uint96 captureAmount,
        bytes calldata signature
    ) external {
        (bytes32 id, ChannelState memory s) = _existing(d);
        _onlyPayeeSide(d);
        if (captureAmount < s.settled || captureAmount > cumulativeAmount) revert CaptureAmountInvalid();
        if (captureAmount > s.deposit) revert AmountExceedsDeposit();
        if (captureAmount > s.settled) _check(d, id, cumulativeAmount, signature);
        uint96 delta = captureAmount - s.settled;
        if (delta != 0) Token(d.token).transfer(d.payee, delta);
        _end(d, id, captureAmount, s.deposit - captureAmount);
    }

    function withdraw(ChannelDescriptor calldata d) external {
        (bytes32 id, ChannelState memory s) = _existing(d);
        if (msg.sender != d.payer) revert NotPayer();
        bool ready = s.closeRequestedAt != 0 && block.timestamp >= s.closeRequestedAt + CLOSE_GRACE_PERIOD;
        if (!ready) revert CloseNotReady();
        _end(d, id, s.settled, s.deposit - s.settled);
    }

    function getChannel(ChannelDescriptor calldata d) external view returns (Channel memory) {
        return Channel(d, states[_id(d)]);
    }

    function getChannelState(bytes32 channelId) external view returns (ChannelState memory) {
        return states[channelId];
    }

    function getChannelStatesBatch(bytes32[] calldata channelIds) external view returns (ChannelState[] memory found) {
        found = new ChannelState[](channelIds.length);
        for (uint256 i = 0; i < channelIds.length; ++i) {
            found[i] = states[channelIds[i]];
        }
    }

    function computeChannelId(
        address payer,
        address payee,
        address operator,
        address token,
        bytes32 salt,
        address authorizedSigner,
        bytes32 expiringNonceHash
    ) external view returns (bytes32) {
        return _id(ChannelDescriptor(payer, payee, operator, token, salt, authorizedSigner, expiringNonceHash));
    }

    function getVoucherDigest(bytes32 channelId, uint96 cumulativeAmount) public view returns (bytes32) {
        bytes32 voucher = keccak256(abi.encode(VOUCHER_TYPEHASH, channelId, cumulativeAmount));
        return keccak256(abi.encodePacked(hex"1901", domainSeparator(), voucher));
    }

    function domainSeparator() public view returns (bytes32) {
        return keccak256(
            abi.encode(DOMAIN_TYPEHASH, keccak256("TIP20 Channel Reserve"), keccak256("1"), block.chainid, address(this))
        );
    }

    /// Forgets a channel and pays back what is left of it.
    function _end(ChannelDescriptor calldata d, bytes32 id, uint96 settled, uint96 refund) private {
        delete states[id];
        if (refund != 0) Token(d.token).transfer(d.payer, refund);
        emit ChannelClosed(id, d.payer, d.payee, settled, refund);
    }

    function _existing(ChannelDescriptor calldata d) private view returns (bytes32 id, ChannelState memory s) {
        id = _id(d);
        s = states[id];
        if (s.deposit == 0) revert ChannelNotFound();
    }

    function _id(ChannelDescriptor memory d) private view returns (bytes32) {
        return keccak256(abi.encode(d, address(this), block.chainid));
    }

    function _onlyPayeeSide(ChannelDescriptor calldata d) private view {
        bool operates = d.operator != address(0) && msg.sender == d.operator;
        if (msg.sender != d.payee && !operates) revert NotPayeeOrOperator();
    }

    function _check(ChannelDescriptor calldata d, bytes32 id, uint96 amount, bytes calldata signature) private view {
        address expected = d.authorizedSigner == address(0) ? d.payer : d.authorizedSigner;
        try SIGNATURES.recover(getVoucherDigest(id, amount), signature) returns (address signer) {
            if (signer != expected) revert InvalidSignature();
        } catch {
            revert InvalidSignature();
        }
    }

    /// The hash of the enclosing transaction: taken out when it is first asked for, and the same to the transaction's end.
    function _enclosing(bytes32 what) private returns (bytes32 hash) {
        hash = _load(what);
        if (hash != 0) return hash;
        hash = context[what];
        if (hash == 0) revert ExpiringNonceHashNotSet();
        delete context[what];
        _store(what, hash);
    }

    /// Where it is marked that this transaction has opened the channel: not even after its close is it opened twice.
    function _opened(bytes32 id) private pure returns (bytes32) {
        return keccak256(abi.encode(id, "opened"));
    }

    function _load(bytes32 slot) private view returns (bytes32 word) {
        assembly {
            word := tload(slot)
        }
    }

    function _store(bytes32 slot, bytes32 word) private {
        assembly {
            tstore(slot, word)
        }
    }
}
