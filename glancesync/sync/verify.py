# SPDX-License-Identifier: Apache-2.0
"""Proof that a replica holds the image's bytes. Called by execute."""
from __future__ import annotations

from glancesync.exceptions import RegionAnswerError, SourceReadError, VerificationError
from glancesync.model.image import Digest, Image
from glancesync.regions.client import RegionClient
from glancesync.sync.hashing import StreamHasher, is_known_algorithm
from glancesync.sync.run import RunHandle
from glancesync.sync.tee import CopyResult

_CHUNK_BYTES = 65536


def check_copy(result: CopyResult, replica: Image, region: str) -> Digest | None:
    """The digest of the source's bytes in the target's own algorithm; None where it has to be read.

    Raises VerificationError when what the target computed on receipt is something else.
    """
    if not replica.has_bytes:
        raise VerificationError(f"image {replica.id} in {region} is {replica.status} after its upload")
    if replica.size != result.size:
        raise VerificationError(f"image {replica.id} in {region} has {replica.size} bytes, {result.size} were sent")
    if replica.digest is None or replica.digest.algorithm not in result.digests:
        return None
    expected = Digest(algorithm=replica.digest.algorithm, value=result.digests[replica.digest.algorithm])
    if replica.digest != expected:
        raise VerificationError(f"{region} received other bytes of image {replica.id} than were sent "
                                f"({expected.algorithm} differs); it is replaced")
    return expected


def read_digest(client: RegionClient, image: Image, algorithm: str, handle: RunHandle, *,
                stored: bool = False) -> Digest:
    """The image's digest in the wanted algorithm: Glance's own where it computed that, else (or when the `stored` bytes
    are asked for) computed by reading it all."""
    if image.digest and image.digest.algorithm == algorithm and not (stored or image.hash_is_claim):
        return image.digest
    if not is_known_algorithm(algorithm):
        raise RegionAnswerError(f"{client.region_name} hashes with {algorithm}, which cannot be computed here")
    hasher = StreamHasher([algorithm])
    handle.report(step="reading", bytes_done=0, bytes_total=image.size)
    with client.open_data(image.id, chunk_bytes=_CHUNK_BYTES) as data:
        for chunk in data.chunks:
            handle.check()
            hasher.feed(chunk)
            if image.size is not None and hasher.size > image.size:
                break
            handle.report(bytes_done=hasher.size)
    if image.size is not None and hasher.size != image.size:
        raise SourceReadError(f"{client.region_name} gave {hasher.size} of {image.size} bytes of image {image.id}")
    return Digest(algorithm=algorithm, value=hasher.digests()[algorithm])
