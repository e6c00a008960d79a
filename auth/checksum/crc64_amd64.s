#include "textflag.h"

// func fold(state uint64, p []byte, constants *[4]uint64, out *[2]uint64)
//
// It folds 64 bytes at a time into four lanes, then the lanes into one: out is
// 16 bytes that have the same remainder as state and p. len(p) is a multiple of
// 64 and not 0. constants are x^(512+63), x^511, x^(128+63) and x^127.
TEXT ·fold(SB), NOSPLIT, $0-48
	MOVQ  state+0(FP), AX
	MOVQ  p_base+8(FP), SI
	MOVQ  p_len+16(FP), CX
	MOVQ  constants+32(FP), DX
	MOVQ  out+40(FP), DI
	MOVOU (DX), X8
	MOVOU 16(DX), X9
	MOVOU (SI), X0
	MOVOU 16(SI), X1
	MOVOU 32(SI), X2
	MOVOU 48(SI), X3
	MOVQ  AX, X10
	PXOR  X10, X0
	ADDQ  $64, SI
	SUBQ  $64, CX
	JZ    lanes

loop:
	MOVO      X0, X4
	MOVO      X1, X5
	MOVO      X2, X6
	MOVO      X3, X7
	PCLMULQDQ $0x00, X8, X0
	PCLMULQDQ $0x00, X8, X1
	PCLMULQDQ $0x00, X8, X2
	PCLMULQDQ $0x00, X8, X3
	PCLMULQDQ $0x11, X8, X4
	PCLMULQDQ $0x11, X8, X5
	PCLMULQDQ $0x11, X8, X6
	PCLMULQDQ $0x11, X8, X7
	MOVOU     (SI), X10
	MOVOU     16(SI), X11
	MOVOU     32(SI), X12
	MOVOU     48(SI), X13
	PXOR      X4, X0
	PXOR      X5, X1
	PXOR      X6, X2
	PXOR      X7, X3
	PXOR      X10, X0
	PXOR      X11, X1
	PXOR      X12, X2
	PXOR      X13, X3
	ADDQ      $64, SI
	SUBQ      $64, CX
	JNZ       loop

lanes:
	MOVO      X0, X4
	PCLMULQDQ $0x00, X9, X0
	PCLMULQDQ $0x11, X9, X4
	PXOR      X4, X0
	PXOR      X1, X0
	MOVO      X0, X4
	PCLMULQDQ $0x00, X9, X0
	PCLMULQDQ $0x11, X9, X4
	PXOR      X4, X0
	PXOR      X2, X0
	MOVO      X0, X4
	PCLMULQDQ $0x00, X9, X0
	PCLMULQDQ $0x11, X9, X4
	PXOR      X4, X0
	PXOR      X3, X0
	MOVOU     X0, (DI)
	RET
