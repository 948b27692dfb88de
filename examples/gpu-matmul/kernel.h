#pragma once

namespace matmul {

// PTX, written by hand: one thread for each element of c. The driver compiles it for the card it
// has.
inline constexpr char kKernel[] = R"(
.version 7.0
.target sm_70
.address_size 64

.visible .entry okibi_matmul(
  .param .u64 a,
  .param .u64 b,
  .param .u64 c,
  .param .u32 n
)
{
  .reg .pred %p;
  .reg .f32 %x, %y, %sum;
  .reg .b32 %n, %column, %row, %t, %k;
  .reg .b64 %a, %b, %c, %at, %stride;

  ld.param.u32 %n, [n];
  mov.u32 %column, %tid.x;
  mov.u32 %t, %ctaid.x;
  mov.u32 %k, %ntid.x;
  mad.lo.u32 %column, %t, %k, %column;
  mov.u32 %row, %tid.y;
  mov.u32 %t, %ctaid.y;
  mov.u32 %k, %ntid.y;
  mad.lo.u32 %row, %t, %k, %row;
  setp.ge.u32 %p, %column, %n;
  @%p bra done;
  setp.ge.u32 %p, %row, %n;
  @%p bra done;

  ld.param.u64 %a, [a];
  ld.param.u64 %b, [b];
  ld.param.u64 %c, [c];
  cvta.to.global.u64 %a, %a;
  cvta.to.global.u64 %b, %b;
  cvta.to.global.u64 %c, %c;

  // a moves along its row by 4 bytes, b down its column by 4 * n.
  mul.lo.u32 %t, %row, %n;
  mul.wide.u32 %at, %t, 4;
  add.u64 %a, %a, %at;
  add.u32 %t, %t, %column;
  mul.wide.u32 %at, %t, 4;
  add.u64 %c, %c, %at;
  mul.wide.u32 %at, %column, 4;
  add.u64 %b, %b, %at;
  mul.wide.u32 %stride, %n, 4;

  mov.f32 %sum, 0f00000000;
  mov.u32 %k, 0;
next:
  ld.global.f32 %x, [%a];
  ld.global.f32 %y, [%b];
  fma.rn.f32 %sum, %x, %y, %sum;
  add.u64 %a, %a, 4;
  add.u64 %b, %b, %stride;
  add.u32 %k, %k, 1;
  setp.lt.u32 %p, %k, %n;
  @%p bra next;
  st.global.f32 [%c], %sum;
done:
  ret;
}
)";

}  // namespace matmul
