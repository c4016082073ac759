/** Where one throwaway Ceph keeps its state and listens. */
export interface CephPlace {
  folder: string;
  fsid: string;
  monitorPort: number;
  gatewayPort: number;
}

/** The configuration of one monitor, one in-memory OSD and one RADOS Gateway, all on 127.0.0.1. */
export function cephConf({ folder, fsid, monitorPort, gatewayPort }: CephPlace): string {
  return `[global]
fsid = ${fsid}
mon_host = v2:127.0.0.1:${monitorPort}/0
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr1 = false
ms_bind_ipv4 = true
ms_bind_ipv6 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
# radosgw asks for "secure" alone, which needs cephx; without cephx there is only crc
ms_mon_client_mode = crc
keyring = /dev/null
run_dir = ${folder}/run
admin_socket =
crash_dir = ${folder}/crash
log_file = ${folder}/log/$name.log
mon_cluster_log_file = ${folder}/log/cluster.log
err_to_stderr = true
max_open_files = 0

mon_data = ${folder}/mon
mon_data_avail_crit = 0
mon_data_avail_warn = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 4096
mon_osd_crush_smoke_test = false
paxos_propose_interval = 0.05
paxos_min_wait = 0.01

osd_data = ${folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 1073741824
memstore_page_set = false
osd_crush_chooseleaf_type = 0
osd_crush_initial_weight = 1
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_op_queue = wpq
osd_memory_target = 939524096
osd_class_load_list = *
osd_class_default_list = *

# without tcp_nodelay each small answer takes 45 ms
rgw_frontends = beast endpoint=127.0.0.1:${gatewayPort} tcp_nodelay=1
rgw_dns_name = localhost
rgw_data = ${folder}/rgw
rgw_thread_pool_size = 32
rgw_num_rados_handles = 1
rgw_enable_gc_threads = false
rgw_enable_lc_threads = false
rgw_enable_quota_threads = false
rgw_enable_usage_log = false
rgw_run_sync_thread = false
rgw_dynamic_resharding = false
rgw_override_bucket_index_max_shards = 1
rgw_gc_max_objs = 1
rgw_lc_max_objs = 1
rgw_objexp_hints_num_shards = 1
rgw_md_log_max_shards = 1
rgw_data_log_num_shards = 1
rgw_usage_max_shards = 1
rgw_s3_auth_use_sts = true
# exactly 16 characters; encrypts the session tokens
rgw_sts_key = abcdefghijklmnop
# the static key first: S3's exact error codes for it
rgw_s3_auth_order = local, sts
`;
}
