#!/usr/bin/env bash
# Builds static tpm2-tss and p11-kit for the addon, inside the Debian 11 root that scripts/prebuild.mjs makes.
#   libraries.sh SOURCES DESTINATION TRIPLET TPM2-TSS-VERSION P11-KIT-VERSION
# OpenSSL comes from Node at run time: only its headers are used, those of /opt/node.
set -euo pipefail

sources=$1 destination=$2 triplet=$3 tss=$4 p11kit=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

export LC_ALL=C TZ=UTC
export CFLAGS="-O2 -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections -fstack-protector-strong
  -D_FORTIFY_SOURCE=2 -ffile-prefix-map=$work=/libraries"
CFLAGS=$(echo $CFLAGS)

# Runs a command whose output matters only when it fails.
quietly() {
  "$@" >"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; echo "libraries.sh: failed: $*" >&2; exit 1; }
}

tar -xf "$sources"/tpm2-tss_*.orig.tar.*
cd "tpm2-tss-$tss"
sed -i "s/^git describe.*/echo $tss >VERSION/" bootstrap # upstream asks git, and this is no checkout
quietly ./bootstrap
# nodl: the TCTIs are linked in. No crypto library: its symbols are Node's.
CRYPTO_CFLAGS=-I/opt/node/include/node CRYPTO_LIBS=' ' quietly ./configure --host="$triplet" \
  --prefix=/usr --libdir=/usr/lib --with-udevrulesdir=/usr/lib/udev/rules.d \
  --enable-static --disable-shared --enable-nodl --with-crypto=ossl --with-maxloglevel=none --disable-weakcrypto \
  --disable-fapi --disable-policy --disable-doxygen-doc \
  --disable-tcti-cmd --disable-tcti-pcap --disable-tcti-libtpms --disable-tcti-spidev --disable-tcti-spi-helper \
  --disable-tcti-spi-ltt2go --disable-tcti-spi-ftdi --disable-tcti-i2c-helper --disable-tcti-i2c-ftdi
quietly make -j"$(nproc)"
quietly make install DESTDIR="$destination"
cd ..

tar -xf "$sources"/p11-kit_*.orig.tar.*
cd "p11-kit-$p11kit"
# Paths as in Debian's own package; env-override-paths lets other systems name theirs (P11_MODULE_PATH).
quietly ./configure --host="$triplet" --prefix=/usr --libdir=/usr/lib --sysconfdir=/etc \
  --with-system-config=/etc/pkcs11 --with-module-config=/usr/share/p11-kit/modules \
  --with-module-path="/usr/lib/$triplet/pkcs11" --enable-env-override-paths --with-closures=64 \
  --without-libffi --without-libtasn1 --without-systemd --disable-trust-module --disable-nls --disable-doc
quietly make -j"$(nproc)" libp11-kit.la
# Upstream refuses --enable-static: the shared library's objects, which are position-independent, make an archive.
{
  echo "CREATE libp11-kit.a"
  for archive in .libs/libp11-kit-internal.a .libs/libp11-common.a .libs/libp11-library.a; do echo "ADDLIB $archive"; done
  for object in p11-kit/.libs/libp11_kit_la-*.o; do echo "ADDMOD $object"; done
  echo SAVE
  echo END
} | "$triplet-ar" -M
install -D -m 644 -t "$destination/usr/lib" libp11-kit.a
install -D -m 644 -t "$destination/usr/include/p11-kit-1/p11-kit" \
  p11-kit/{p11-kit,pin,uri,iter,deprecated,remote}.h common/{pkcs11,pkcs11x}.h

# Each TCTI's archive defines the same symbol, which only dlopen would need.
for tcti in device swtpm mssim; do
  "$triplet-objcopy" --localize-symbol=Tss2_Tcti_Info "$destination/usr/lib/libtss2-tcti-$tcti.a"
done
