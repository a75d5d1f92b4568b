# The vendor's commands that the scripts may use: what each takes, and what it gives.
#
#     command NAME NEEDS RETURNS {OPTIONS} {ARGUMENTS}
#
# NEEDS      what must be open: nothing, a project, a block design (bd), a packaged component, or a netlist
# RETURNS    class of the object it gives, or - for nothing; `stub.tcl` says where the value is more than its first argument
# OPTIONS    -name is a flag, -name=CLASS takes a value
# ARGUMENTS  CLASS once, CLASS? at most once, CLASS* any number, CLASS+ one or more
#
# A CLASS is that of an object (what some other command returns), or: text, number, file (exists), folder (exists), new (a
# path whose folder exists). Alternatives are joined by |. Options may be shortened as long as they stay unique, and every
# command takes -quiet and -verbose.
#
# Where the forms come from: UG835, Vivado Design Suite Tcl Command Reference Guide (2023.2, 2024.2), section of each
# command, unless another document is named. An argument that UG835 shows by name may also be given as -name.

# Projects and files. UG835; `create_project -in_memory` is UG1118's way to package sources without a project on disk.
command create_project nothing project {-part=text -name=text -force -in_memory -ip -rtl_kernel} {text? new?}
command close_project project - {-delete} {}
command current_project project project {} {text?}
command add_files project files {-fileset=text -of_objects=text -copy_to=folder -norecurse -force -scan_for_includes} {file+}
command get_files project files {-regexp -nocase -filter=text -compile_order=text -used_in=text -references -all -of_objects=text} {text*}
command current_fileset project fileset {-constrset -simset -srcset -blockset} {text?}
command update_compile_order project - {-fileset=text -force_gui} {}
command update_ip_catalog project - {-rebuild -scan_changes -repo_path=folder} {}
command read_xdc project - {-cells=cell -ref=text -unmanaged -mode=text -no_add} {file+}

# Properties. UG835; names that objects have are below.
command set_property nothing - {-dict=text} {text? text? project|fileset|files|component|bus_parameter|bus_interface|address_block|register|bd_cell|design|port|cell+}
command get_property nothing value {-min -max} {text run|timing_path|cell|bd_cell|project}

# Runs and reports. UG835; UG904 for the order.
command launch_runs project - {-jobs=number -to_step=text -next_step -scripts_only -force -dir=folder -pre_launch_script=file -post_launch_script=file} {text|run+}
command wait_on_run project - {-timeout=number -exit_condition=text} {text|run+}
command get_runs project run {-regexp -nocase -filter=text -of_objects=text} {text*}
command open_run project design {-name=text -pr_config=text} {text|run}
command current_design netlist design {} {text?}
command report_timing_summary netlist - {-file=new -delay_type=text -no_header -no_detailed_paths -datasheet -max_paths=number -nworst=number -setup -hold -report_unconstrained -warn_on_violation -append -return_string} {}
command report_utilization netlist - {-file=new -hierarchical -hierarchical_depth=number -cells=cell -pblocks=text -append -return_string} {}
command report_io netlist - {-file=new -name=text} {}
command report_control_sets netlist - {-file=new -hierarchical -cells=cell} {}
command report_clock_utilization netlist - {-file=new -write_xdc=new} {}
command report_route_status netlist - {-file=new -show_all -list_all_nets} {}
command report_drc netlist - {-file=new -name=text -ruledecks=text -checks=text} {}
command report_methodology netlist - {-file=new -name=text -checks=text} {}
command report_power netlist - {-file=new -name=text -hier=text} {}
command get_timing_paths netlist timing_path {-from=text -to=text -through=text -delay_type=text -setup -hold -max_paths=number -nworst=number -unique_pins -slack_lesser_than=number -slack_greater_than=number -group=text -sort_by=text -filter=text} {}
command write_hw_platform netlist - {-fixed -force -include_bit -minimal -hw -rp=text -file=new} {new?}
command write_bitstream netlist - {-force -raw_bitfile -bin_file -no_binary_bitfile -mask_file -readback_file -logic_location_file -cell=cell} {new}
command write_checkpoint netlist - {-force -cell=cell -logic_function_stripped -encrypt -key=file} {new}

# Non-project flow. UG835, UG904; `synth_design` opens the netlist.
command synth_design project design {-top=text -part=text -name=text -mode=text -flatten_hierarchy=text -rtl -generic=text -include_dirs=text -retiming -directive=text} {}
command opt_design netlist - {-retarget -propconst -sweep -bram_power_opt -remap -resynth_area -directive=text} {}
command place_design netlist - {-directive=text -no_timing_driven -timing_summary -unplace -post_place_opt -no_bufg_opt} {}
command route_design netlist - {-directive=text -unroute -nets=text -tns_cleanup -timing_summary -preserve} {}
command phys_opt_design netlist - {-fanout_opt -placement_opt -routing_opt -rewire -retime -hold_fix -directive=text} {}

# Timing constraints and the netlist's objects. UG835, UG903 (which of these an XDC file may hold).
command get_ports netlist port {-regexp -nocase -filter=text -of_objects=cell|pin -scoped_to_current_instance} {text*}
command get_nets netlist net {-hierarchical -regexp -nocase -filter=text -segments -top_net_of_hierarchical_group -of_objects=cell|pin|port} {text*}
command get_cells netlist cell {-hierarchical -hsc=text -regexp -nocase -filter=text -of_objects=pin|net -include_replicated_objects} {text|cell*}
command get_pins netlist pin {-hierarchical -hsc=text -regexp -nocase -leaf -filter=text -of_objects=cell|net -include_replicated_objects} {text*}
command get_clocks netlist clock {-regexp -nocase -filter=text -of_objects=net|pin|port -include_generated_clocks} {text*}
command all_fanin netlist pin {-startpoints_only -flat -only_cells -levels=number -pin_levels=number -trace_arcs=text} {pin|net|port+}
command create_clock netlist clock {-period=number -name=text -waveform=text -add} {port|net|pin*}
command set_false_path netlist - {-setup -hold -rise -fall -reset_path -from=port|pin|cell|clock -to=port|pin|cell|clock -through=pin|cell|net} {}
command set_max_delay netlist - {-rise -fall -datapath_only -reset_path -from=port|pin|cell|clock -to=port|pin|cell|clock -through=pin|cell|net} {number}
xdc set_property get_ports get_nets get_cells get_pins get_clocks current_design create_clock set_false_path set_max_delay

# Block designs. UG835, UG994.
command create_bd_design project - {-dir=new -cell=text} {text}
command create_bd_cell bd bd_cell {-type=text -vlnv=text -reference=text} {text}
command apply_bd_automation bd - {-rule=text -config=text} {bd_cell+}
command get_bd_cells bd bd_cell {-regexp -hierarchical -filter=text -of_objects=text} {text*}
command get_bd_pins bd bd_pin {-regexp -hierarchical -filter=text -of_objects=bd_cell|bd_net} {text*}
command get_bd_intf_pins bd bd_intf_pin {-regexp -hierarchical -filter=text -of_objects=bd_cell} {text*}
command get_bd_addr_spaces bd bd_addr_space {-regexp -hierarchical -filter=text -of_objects=text} {text*}
command get_bd_addr_segs bd bd_addr_seg {-regexp -hierarchical -filter=text -excluded -addressed -unaddressed -of_objects=text} {text*}
command connect_bd_net bd - {-net=text -boundary_type=text} {bd_pin bd_pin+}
command connect_bd_intf_net bd - {-intf_net=text -boundary_type=text} {bd_intf_pin bd_intf_pin}
command assign_bd_address bd - {-offset=number -range=number -target_address_space=bd_addr_space -boundary -import_from_file=file -export_to_file=new -force} {bd_addr_seg*}
command validate_bd_design bd - {-force -design=text -include_pfm} {}
command save_bd_design bd - {} {text?}
command make_wrapper project text {-top -testbench -inst_template -fileset=text -import -force -files=files} {files?}

# IP packager. UG1118 for the steps; forms as `ipx::NAME -help` prints them, which public packaging scripts show in use.
command ipx::package_project project component {-root_dir=new -vendor=text -library=text -taxonomy=text -module=text -generated_files -import_files -set_current=text -archive_source_project=text -force} {component?}
command ipx::current_core component component {} {text?}
command ipx::infer_bus_interfaces component bus_interface {} {text component}
command ipx::infer_bus_interface component bus_interface {} {text text component}
command ipx::associate_bus_interfaces component - {-busif=text -clock=text -reset=text -clear -remove} {component}
command ipx::get_bus_interfaces component bus_interface {-regexp -nocase -filter=text -of_objects=component} {text*}
command ipx::add_bus_parameter component bus_parameter {} {text bus_interface}
command ipx::get_bus_parameters component bus_parameter {-regexp -nocase -filter=text -of_objects=bus_interface} {text*}
command ipx::remove_all_memory_map component - {} {component}
command ipx::add_memory_map component memory_map {} {text component}
command ipx::add_address_block component address_block {} {text memory_map}
command ipx::add_register component register {} {text address_block}
command ipx::create_xgui_files component - {-logo_file=file} {component}
command ipx::update_checksums component - {} {component}
command ipx::check_integrity component - {-xrt -kernel} {component}
command ipx::save_core component - {} {component}

# Names of properties by class. UG912 for projects, runs and designs; UG1118 and IP-XACT (IEEE 1685) for components: there a
# value that has a choice is shown with it. CONFIG.* of cells of a block design are checked beside the design.
property project board_part|ip_repo_paths|target_language|default_lib .+
property fileset top|generic|include_dirs .+
property files used_in_synthesis|used_in_implementation true|false
property files file_type|used_in|library .+
property component name|version|vendor|library|display_name|description|vendor_display_name|core_revision .+
property component supported_families {(zynquplus|zynq|kintexu|virtexu) (Production|Beta|Pre-Production)}
property bus_parameter value .+
property bus_interface slave_memory_map_ref|master_address_space_ref .+
property address_block base_address|range|width {(0x[0-9a-fA-F]+|[0-9]+)}
property address_block usage memory|register|reserved
property register address_offset|size {(0x[0-9a-fA-F]+|[0-9]+)}
property register access read-only|write-only|read-write|writeOnce|read-writeOnce
property register description|display_name .+
property bd_cell {CONFIG\.[A-Za-z0-9_]+} .+
property design BITSTREAM\.GENERAL\.COMPRESS TRUE|FALSE
property port LOC|PACKAGE_PIN {[A-Z]{1,2}[0-9]{1,2}}
property port IOSTANDARD {[A-Z0-9_]+}
property run PROGRESS|STATUS .+
property timing_path SLACK .+
