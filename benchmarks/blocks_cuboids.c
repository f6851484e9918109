#include <math.h>
/* The forms of designtools/kernels/block.py and cuboid.py as plain loops: the measure of benchmarks/blocks_cuboids.py. */
void block(int n,const double*c,const double*s,const double*ver,const double*wt,int P,const double*r,const double*z,double a0,double a1,double z0,double z1,double*bz,double*br){
  double w=a1-a0,b=z1-z0;
  for(int i=0;i<P;i++){
    double sz=0,sr=0,ri=r[i],v0=z0-z[i],v1=z1-z[i],d0=a0-ri,d1=a1-ri,sv=v0+v1;
    for(int k=0;k<n;k++){
      double h=ri*s[k],xi=ri*c[k],h2=h*h,u0=d0+ri*ver[k],u1=d1+ri*ver[k];
      double p0=v0*v0+h2,p1=v1*v1+h2,q0=u0*u0+h2,q1=u1*u1+h2;
      double R00=sqrt(u0*u0+p0),R01=sqrt(u0*u0+p1),R10=sqrt(u1*u1+p0),R11=sqrt(u1*u1+p1);
      double T0=R00+R10,T1=R01+R11,S0=R00+R01,S1=R10+R11;
      double du0=u0*u1+p0,du1=u0*u1+p1,dv0=v0*v1+q0,dv1=v0*v1+q1;
      double g,m0n,m0d,m1n,m1d,n0n,n0d,n1n,n1d;
#define EX(m,RA,RB,dot,tot,len,sq) g=RA*RB+fabs(dot); m##n=(dot<0?len*len*sq:g);m##d=(dot<0?g:1.0)*(tot+len);
      EX(m0,R00,R10,du0,T0,w,p0) EX(m1,R01,R11,du1,T1,w,p1) EX(n0,R00,R01,dv0,S0,b,q0) EX(n1,R10,R11,dv1,S1,b,q1)
      double su=w*(u0+u1),sb=b*sv,SS=S0*S1,TT=T0*T1,sS=S0+S1,sT=T0+T1;
      double L0=log1p(w*m0d/m0n);
      double ri1=sb*sS; int up=ri1>=0; double lnn=up?m0n:m1n,ldd=up?m0d:m1d,mnn=up?m1n:m0n,mdd=up?m1d:m0d;
      double dL=log1p(w*fabs(ri1)*(ldd*mdd)/(2*SS*lnn*(mnn+w*mdd))); dL=up?-dL:dL;
      double re=su*sT; up=re>=0; lnn=up?n0n:n1n;ldd=up?n0d:n1d;mnn=up?n1n:n0n;mdd=up?n1d:n0d;
      double dM=log1p(b*fabs(re)*(ldd*mdd)/(2*TT*lnn*(mnn+b*mdd))); dM=up?-dM:dM;
      double sq=-sb*su*sT/(SS*TT);
      double dd=u0*u1+v0*v1+h2;
      double D1=R00*R10*R11+du0*R11+dv1*R00+dd*R10,D2=R00*R11*R01+dd*R01+du1*R00+dv0*R11,N=h*w*b;
      double om=2*atan2(N*(D1+D2),D1*D2-N*N);
      sz+=wt[k]*(b*L0+v1*dL-xi*dM-h*om); sr+=wt[k]*c[k]*(sq+xi*dL);
    }
    bz[i]=sz;br[i]=sr;
  }
}

#define IN static inline __attribute__((always_inline))
typedef struct { double n, d; } frac;
IN frac excess(double r0,double r1,double run,double sq,double len,double tot){
  double dot=run+sq,size=r0*r1+fabs(dot); frac f;
  f.n=dot<0?len*len*sq:size; f.d=(dot<0?size:1.0)*(tot+len); return f;
}
/* corners r[b][c][k] with k along the edge; pair sums of the axis b: t[c][k] */
IN double logsum(const double x[2],const double y[2],const double run,double len,double wid,double r[2][2][2]){
  frac e[2][2]; double s[2][2],t[2][2],up[2],lo[2],tot[2],pro[2];
  for(int i=0;i<2;i++)for(int j=0;j<2;j++){ s[i][j]=r[i][j][0]+r[i][j][1]; e[i][j]=excess(r[i][j][0],r[i][j][1],run,x[i]*x[i]+y[j]*y[j],len,s[i][j]); }
  for(int j=0;j<2;j++){ for(int k=0;k<2;k++) t[j][k]=r[0][j][k]+r[1][j][k]; tot[j]=t[j][0]+t[j][1]; pro[j]=t[j][0]*t[j][1];
    up[j]=(e[1][j].n+len*e[1][j].d)*e[0][j].n; lo[j]=(e[0][j].n+len*e[0][j].d)*e[1][j].n; }
  double g0=e[0][0].d*e[1][0].d*tot[0]*pro[1]*lo[1],g1=e[0][1].d*e[1][1].d*tot[1]*pro[0]*lo[0];
  double rise=len*wid*(x[0]+x[1])*(g0-g1); int pos=rise>=0;
  double base=pos?lo[1]*up[0]:up[1]*lo[0], v=log1p(fabs(rise)/(2*pro[0]*pro[1]*base));
  return pos?v:-v;
}
IN void half(double u,const double v[2],const double w[2],double a,double b,double c,double d,double area,double*x,double*y){
  double u2=u*u,vv=v[0]*v[1],ww=w[0]*w[1],ac=vv+ww+u2,av0=vv+w[0]*w[0]+u2,av1=vv+w[1]*w[1]+u2,aw0=ww+v[0]*v[0]+u2,aw1=ww+v[1]*v[1]+u2;
  double f=a*c*d+av0*d+aw1*a+ac*c,s=a*d*b+ac*b+av1*a+aw0*d,tr=u*area; *x=f*s-tr*tr; *y=tr*(f+s);
}
void cuboid(int m,const double*centre,const double*hs,const double*pol,int P,const double*pts,double*out){
  const double pi=3.14159265358979323846;
  for(int q=0;q<m;q++){
    double hx=hs[3*q],hy=hs[3*q+1],hz=hs[3*q+2],jx=pol[3*q]/(4*pi),jy=pol[3*q+1]/(4*pi),jz=pol[3*q+2]/(4*pi);
    for(int i=0;i<P;i++){
      double px=pts[3*i]-centre[3*q],py=pts[3*i+1]-centre[3*q+1],pz=pts[3*i+2]-centre[3*q+2];
      double u[2]={-hx-px,hx-px},v[2]={-hy-py,hy-py},w[2]={-hz-pz,hz-pz},R[2][2][2];
      for(int a=0;a<2;a++)for(int b=0;b<2;b++)for(int c=0;c<2;c++) R[a][b][c]=sqrt(u[a]*u[a]+v[b]*v[b]+w[c]*w[c]);
      double rx[2][2][2],ry[2][2][2];
      for(int a=0;a<2;a++)for(int b=0;b<2;b++)for(int c=0;c<2;c++){ rx[b][c][a]=R[a][b][c]; ry[c][a][b]=R[a][b][c]; }
      double xy=logsum(u,v,w[0]*w[1],2*hz,2*hx,R),yz=logsum(v,w,u[0]*u[1],2*hx,2*hy,rx),zx=logsum(w,u,v[0]*v[1],2*hy,2*hz,ry);
      double x1,y1,x0,y0; int in=u[0]<0&&u[1]>=0&&v[0]<0&&v[1]>=0&&w[0]<0&&w[1]>=0;
      half(u[1],v,w,R[1][0][0],R[1][0][1],R[1][1][0],R[1][1][1],4*hy*hz,&x1,&y1);
      half(u[0],v,w,R[0][0][0],R[0][0][1],R[0][1][0],R[0][1][1],4*hy*hz,&x0,&y0);
      double xx=atan2(y1*x0-y0*x1,x1*x0+y1*y0); xx=-2*(in&&xx<0?xx+2*pi:xx);
      half(v[1],w,u,R[0][1][0],R[1][1][0],R[0][1][1],R[1][1][1],4*hz*hx,&x1,&y1);
      half(v[0],w,u,R[0][0][0],R[1][0][0],R[0][0][1],R[1][0][1],4*hz*hx,&x0,&y0);
      double yy=atan2(y1*x0-y0*x1,x1*x0+y1*y0); yy=-2*(in&&yy<0?yy+2*pi:yy);
      double o=in?4*pi:0,zz=-xx-yy-o;
      out[3*i]+=(xx+o)*jx+xy*jy+zx*jz; out[3*i+1]+=xy*jx+(yy+o)*jy+yz*jz; out[3*i+2]+=zx*jx+yz*jy+(zz+o)*jz;
    }
  }
}
