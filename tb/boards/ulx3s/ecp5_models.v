// Models of the primitives of the ECP5 that the board's top instantiates, as far as it uses them.

// The PLL: its output is its input here, so that simulated time has one clock; it locks after 16 cycles.
module EHXPLLL #(
  parameter CLKI_DIV = 1, parameter CLKFB_DIV = 1, parameter CLKOP_DIV = 8, parameter CLKOP_CPHASE = 0,
  parameter CLKOP_FPHASE = 0, parameter CLKOP_ENABLE = "ENABLED", parameter FEEDBK_PATH = "CLKOP"
) (
  input CLKI, input CLKFB, input RST, input STDBY, input ENCLKOP, input PHASESEL0, input PHASESEL1, input PHASEDIR,
  input PHASESTEP, input PHASELOADREG, input PLLWAKESYNC, output CLKOP, output LOCK
);
  reg [4:0] count = 0;
  always @(posedge CLKI) if (!count[4]) count <= count + 1;
  assign CLKOP = CLKI;
  assign LOCK = count[4];
endmodule
