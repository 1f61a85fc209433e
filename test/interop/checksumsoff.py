# SPDX-License-Identifier: BSD-3-Clause
"""
checksumsoff.py INTERFACE: has the kernel compute the checksums of what it sends there. Between
namespaces it leaves them out, and a forwarder in user space would hand on wrong ones.
"""

import array
import fcntl
import socket
import struct
import sys

SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM = 0x17

with socket.socket() as sock:
    value = array.array("B", struct.pack("II", ETHTOOL_STXCSUM, 0))
    fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP", sys.argv[1].encode(),
                                               value.buffer_info()[0]))
