# The probe guest of acceleration.py: 1 KiB of firmware that does what an operating system's first moments do.
#
# Real mode, protected mode, paging and long mode, three ticks of the local APIC's timer, a loop in ring 3 and a
# system call back; then the loop's result, turned into 0x2A, goes to QEMU's isa-debug-exit port (exit status 85).
# Accelerators exist that run the first two steps and hang at the third: a BIOS alone proves nothing.
#
# Rebuild: as --64 probe_guest.s -o g.o && objcopy -O binary g.o g.bin ; the bytes go, trailing zeros of the
# body cut, into acceleration.py (the reset jump at 0x3F0 is added there). tests/unit/hypervisor compares them.
#
# RAM: 0x1000 PML4, 0x2000 PDPT, 0x3000 and 0x6000 page directories, 0x4000 IDT, 0x5000 TSS, 0x8000 this code.
.set ROM, 0xFFFFFC00
.set RAM, 0x8000
.code16
entry:
    cli
    lgdtl %cs:(0xFC00 + gdt_in_rom - entry)
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $8, $(ROM + protected - entry)

.code32
protected:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    cld
    xorl %eax, %eax
    movl $0x1000, %edi
    movl $0x2000, %ecx
    rep stosl
    movl $0x2007, 0x1000
    movl $0x3007, 0x2000
    movl $0x87, 0x3000              # the first 2 MiB, open to ring 3
    movl $0x6007, 0x2018
    movl $0xFEE00093, 0x6FB8        # the local APIC, uncached
    movl $ROM, %esi
    movl $RAM, %edi
    movl $0x100, %ecx
    rep movsl
    ljmpl $8, $(RAM + low - entry)
low:
    lgdtl RAM + gdt_in_ram - entry
    movl $0x20, %eax                # PAE
    movl %eax, %cr4
    movl $0x1000, %eax
    movl %eax, %cr3
    movl $0xC0000080, %ecx          # EFER.LME
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl $0x80000011, %eax          # paging
    movl %eax, %cr0
    ljmpl $24, $(RAM + long - entry)

.code64
long:
    movl $0x7000, %esp
    lidt RAM + idt - entry
    movw $(RAM + tick - entry), 0x4000 + 32*16
    movb $0x18, 0x4000 + 32*16 + 2
    movw $0x8E00, 0x4000 + 32*16 + 4
    movw $(RAM + call - entry), 0x4000 + 128*16
    movb $0x18, 0x4000 + 128*16 + 2
    movw $0xEE00, 0x4000 + 128*16 + 4
    movl $0x7C00, 0x5000 + 4        # TSS.RSP0
    movw $48, %ax
    ltr %ax
    movl $0xFEE00000, %esi          # local APIC: on, its timer periodic on vector 32
    movl $0x1FF, 0xF0(%rsi)
    movl $0xB, 0x3E0(%rsi)
    movl $0x20020, 0x320(%rsi)
    movl $100000, 0x380(%rsi)
    xorl %ebx, %ebx
    sti
1:  hlt
    cmpl $3, %ebx
    jb 1b
    pushq $0x2B                     # to ring 3: ss, rsp, rflags, cs, rip
    pushq $0x7800
    pushq $0x202
    pushq $0x23
    pushq $(RAM + user - entry)
    iretq
tick:
    incl %ebx
    movl $0, 0xB0(%rsi)
    iretq
user:
    movl $100000, %ecx
    xorl %eax, %eax
1:  addl %ecx, %eax
    rorl $3, %eax
    loop 1b
    int $0x80
call:
    xorl $(0x9248EB3F ^ 0x2A), %eax # 0x9248EB3F is what the loop gives
    movw $0xF4, %dx
    outl %eax, %dx
2:  hlt
    jmp 2b

.balign 8
gdt: .quad 0
     .quad 0x00CF9B000000FFFF       # 8: 32-bit code
     .quad 0x00CF93000000FFFF       # 16: data
     .quad 0x00AF9B000000FFFF       # 24: 64-bit code
     .quad 0x00AFFB000000FFFF       # 32: 64-bit code, ring 3
     .quad 0x00CFF3000000FFFF       # 40: data, ring 3
     .quad 0x0000890050000067       # 48: TSS
     .quad 0
gdt_in_rom: .word 63
     .long ROM + gdt - entry
gdt_in_ram: .word 63
     .quad RAM + gdt - entry
idt: .word 0x0FFF
     .quad 0x4000
.org 0x3F0
.code16
   jmp entry
.org 0x400
