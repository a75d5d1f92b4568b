# Runs a script of vendor commands without the vendor: each is checked against `commands.tcl` and recorded.
#
#     tclsh stub.tcl RECORD SCRIPT [NAME=VALUE...]
#
# RECORD gets a line of JSON for every call; NAME=VALUE is what get_property answers. Anything unknown is an error: it is
# printed, and the exit status is 1. An object is written class:name, so that what goes where can be checked.

namespace eval stub {
    variable needs; variable returns; variable options; variable arguments; variable properties {}
    variable xdc {}; variable answers {PROGRESS 100% SLACK 0.125}
    variable open {nothing 1 project 0 bd 0 component 0 netlist 0}
    variable project {}; variable constraints {}; variable added {}; variable designs {}; variable bitstream 0; variable name {}; variable launched {}; variable out {}
}

proc command {name need return options arguments} {
    set stub::needs($name) $need
    set stub::returns($name) $return
    set stub::options($name) [concat $options -quiet -verbose]
    set stub::arguments($name) $arguments
    if {[string match *::* $name]} {namespace eval [namespace qualifiers $name] {}}
    proc ::$name args "stub::call $name \$args"
}
proc xdc args {set stub::xdc $args}
proc property {class names values} {lappend stub::properties $class ^(?:$names)\$ ^(?:$values)\$}

proc stub::json text {return "\"[string map {\\ \\\\ \" \\\" \n \\n \t \\t \r \\r} $text]\""}

proc stub::record {name given words} {
    set pairs {}
    dict for {option value} $given {lappend pairs "[json $option]: [json $value]"}
    set list [lmap word $words {json $word}]
    puts $stub::out "{\"command\": [json $name], \"options\": {[join $pairs {, }]}, \"arguments\": \[[join $list {, }]\]}"
}

# The one option that `word` is or shortens, as `name=class` or `name`.
proc stub::option {name word} {
    set matches {}
    foreach spec $stub::options($name) {
        set full [lindex [split $spec =] 0]
        if {$full eq $word} {return $spec}
        if {[string match $word* $full]} {lappend matches $spec}
    }
    if {[llength $matches] != 1} {error "$name: unknown or ambiguous option $word"}
    return [lindex $matches 0]
}

# Fails unless each element of `value` is of one of the classes.
proc stub::check {what classes value} {
    foreach class [split $classes |] {
        switch -- $class {
            text {if {![string match -* $value]} {return}}
            number {if {[string is double -strict $value]} {return}}
            file {if {[file isfile $value]} {return}}
            folder {if {[file isdirectory $value]} {return}}
            new {if {[file isdirectory [file dirname $value]]} {return}}
            default {if {$value ne {} && [lsearch -not -glob $value $class:*] < 0} {return}}
        }
    }
    error "$what must be $classes, not {$value}"
}

proc stub::call {name words} {
    if {![dict get $stub::open $stub::needs($name)]} {error "$name: no open $stub::needs($name)"}
    set given {}
    set rest {}
    while {[llength $words]} {
        set words [lassign $words word]
        if {![regexp {^-[a-z]} $word]} {lappend rest $word; continue}
        lassign [split [option $name $word] =] full class
        if {$class eq {}} {dict set given $full 1; continue}
        if {![llength $words]} {error "$name: $full needs a value"}
        set words [lassign $words value]
        # Objects of nothing are nothing; anywhere else no object is an error.
        if {$full ne "-of_objects" || $value ne {}} {check "$name $full" $class $value}
        dict set given $full $value
    }
    positional $name $rest
    if {$name eq "set_property"} {
        properties $given $rest
    } else {
        record $name $given $rest
    }
    if {[llength [info procs ::stub::do_[namespace tail $name]]]} {return [do_[namespace tail $name] $given $rest]}
    if {$stub::returns($name) in {- value text}} return
    return $stub::returns($name):[lindex $rest 0]
}

proc stub::positional {name rest} {
    if {$name eq "set_property" && [llength $rest] < 3} {set rest [concat {{} {}} $rest]}
    foreach form $stub::arguments($name) {
        regexp {^(.*?)([?*+]?)$} $form -> classes many
        set least [expr {$many in {{} +}}]
        if {[llength $rest] < $least} {error "$name: an argument ($classes) is missing"}
        while {[llength $rest] && ($many in {* +} || $least >= 0)} {
            set least -1
            set rest [lassign $rest word]
            check "$name: argument" $classes $word
        }
    }
    if {[llength $rest]} {error "$name: too many arguments: $rest"}
}

# One record for each property that is set, on objects that have it.
proc stub::properties {given rest} {
    if {[dict exists $given -dict]} {
        if {[llength $rest] != 1} {error "set_property -dict: takes objects only, not $rest"}
        set pairs [dict get $given -dict]
        if {[llength $pairs] % 2} {error "set_property -dict: a value is missing in $pairs"}
    } else {
        if {[llength $rest] != 3} {error "set_property: takes name, value and objects, not $rest"}
        set pairs [lrange $rest 0 1]
    }
    foreach {name value} $pairs {
        foreach object [lindex $rest end] {
            known set_property $object $name $value
            record set_property {} [list $name $value $object]
        }
        if {$name eq "ip_repo_paths" && ![file isdirectory $value]} {error "set_property: there is no folder $value"}
    }
}

proc stub::known {command object name value} {
    set class [lindex [split $object :] 0]
    foreach {of names values} $stub::properties {
        if {$of eq $class && [regexp -- $names $name]} {
            if {$command eq "set_property" && ![regexp -- $values $value]} {
                error "set_property: $name of a $class cannot be {$value}"
            }
            return
        }
    }
    error "$command: a $class has no property $name"
}

proc stub::touch path {
    file mkdir [file dirname $path]
    close [open $path w]
}

proc stub::do_create_project {given rest} {
    if {[dict get $stub::open project]} {error "create_project: a project is open"}
    dict set stub::open project 1
    set name [expr {[dict exists $given -name] ? [dict get $given -name] : [lindex $rest 0]}]
    set stub::project [expr {[llength $rest] > 1 ? [lindex $rest 1] : "."}]
    if {![dict exists $given -in_memory]} {file mkdir $stub::project}
    set stub::name $name
    return project:$name
}
proc stub::do_close_project {given rest} {
    foreach what {project bd component netlist} {dict set stub::open $what 0}
}
proc stub::do_add_files {given rest} {
    lappend stub::added {*}[lmap path $rest {file tail $path}]
    if {[dict exists $given -fileset] && [dict get $given -fileset] eq "constrs_1"} {lappend stub::constraints {*}$rest}
    return files:[lindex $rest 0]
}
proc stub::do_get_files {given rest} {
    foreach name $rest {
        if {$name ni $stub::added && [file rootname $name] ni $stub::designs} {error "get_files: no file $name"}
    }
    return files:[lindex $rest 0]
}
proc stub::do_get_property {given rest} {
    lassign $rest name object
    known get_property $object $name {}
    if {![dict exists $stub::answers $name]} {error "get_property: no answer for $name"}
    return [dict get $stub::answers $name]
}
proc stub::do_current_fileset {given rest} {return fileset:sources_1}
proc stub::do_current_project {given rest} {return project:$stub::name}
proc stub::do_current_design {given rest} {return design:current}
proc stub::do_package_project {given rest} {
    file mkdir [dict get $given -root_dir]
    dict set stub::open component 1
    return component:core
}
proc stub::do_current_core {given rest} {return component:core}
proc stub::do_add_bus_parameter {given rest} {return bus_parameter:[lindex $rest 1]:[lindex $rest 0]}
proc stub::do_create_bd_design {given rest} {
    lappend stub::designs [lindex $rest 0]
    dict set stub::open bd 1
}
proc stub::do_make_wrapper {given rest} {
    set design [lindex $stub::designs end]
    set path [file join $stub::project $stub::name.gen sources_1 bd $design hdl ${design}_wrapper.v]
    touch $path
    return $path
}
proc stub::do_launch_runs {given rest} {
    dict set stub::open netlist 1
    foreach path $stub::constraints {constraints $path}
    dict set stub::open netlist 0
    set stub::bitstream [expr {[dict exists $given -to_step] && [dict get $given -to_step] eq "write_bitstream"}]
    set stub::launched [lindex $rest 0]
}
proc stub::do_wait_on_run {given rest} {
    if {[lindex $rest 0] ne $stub::launched} {error "wait_on_run: [lindex $rest 0] was not launched"}
    if {$stub::bitstream} {
        touch [file join $stub::project $stub::name.runs $stub::launched [lindex $stub::designs end]_wrapper.bit]
    }
}
proc stub::do_open_run {given rest} {dict set stub::open netlist 1; return design:current}
proc stub::do_synth_design {given rest} {dict set stub::open netlist 1; return design:current}
proc stub::do_read_xdc {given rest} {set stub::constraints [concat $stub::constraints $rest]}
proc stub::do_place_design {given rest} {foreach path $stub::constraints {constraints $path}}
proc stub::do_write_bitstream {given rest} {touch [lindex $rest 0]}
# Cells by an attribute are those that the test names; any other pattern or filter gives one object that stands for it.
proc stub::do_get_cells {given rest} {
    if {[dict exists $given -filter] && [regexp {^amaranth\.vivado\.(\w+) } [dict get $given -filter] -> attribute]} {
        if {![dict exists $stub::answers $attribute]} {return {}}
        return [lmap cell [dict get $stub::answers $attribute] {string cat cell: $cell}]
    }
    return [filtered cell $given $rest]
}
proc stub::do_get_pins {given rest} {
    if {[dict exists $given -of_objects] && ![llength [dict get $given -of_objects]]} {return {}}
    return [filtered pin $given $rest]
}
proc stub::filtered {class given rest} {
    if {[dict exists $given -filter]} {return [list $class:[dict get $given -filter]]}
    return [list $class:[lindex $rest 0]]
}

# A constraints file knows nothing of Tcl's own commands but these (UG903).
proc stub::constraints path {
    set child [interp create]
    foreach name [$child eval {info commands}] {
        if {$name ni {set list expr rename}} {$child hide $name}
    }
    $child hide rename
    foreach name $stub::xdc {$child alias $name $name}
    set file [open $path]
    set script [read $file]
    close $file
    try {
        $child eval $script
    } on error message {
        error "[file tail $path]: $message"
    } finally {
        interp delete $child
    }
}

proc quit {} {throw {STUB QUIT} {}}

source [file join [file dirname [file normalize [info script]]] commands.tcl]
set rest [lassign $argv record script]
foreach pair $rest {dict set stub::answers {*}[split $pair =]}
set stub::out [open $record w]
try {
    cd [file dirname $script]
    # By name, so that [info script] in it is what Vivado gives.
    source [file normalize $script]
    set status 0
} trap {STUB QUIT} {} {
    set status 0
} on error message {
    puts stderr "[file tail $script]: $message"
    set status 1
}
close $stub::out
if {[llength [info commands exit]]} {exit $status}
