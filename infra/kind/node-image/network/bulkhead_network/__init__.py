"""The network agent of the self-built kind node: pod routes and NetworkPolicy by nftables."""
